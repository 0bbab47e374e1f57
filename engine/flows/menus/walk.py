"""Every part of a menu, with where it stands. A menu within it is given, but not gone into."""

from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel

from engine.flows.menus.model import Menu

Loc = tuple[str | int, ...]


def walk(part: Any, loc: Loc = (), *, top: bool = True) -> Iterator[tuple[Loc, BaseModel]]:
    if isinstance(part, BaseModel):
        if not top:
            yield loc, part
        if top or not isinstance(part, Menu):
            for name in part.model_fields_set:
                yield from walk(getattr(part, name), (*loc, name), top=False)
    elif isinstance(part, tuple):
        for n, each in enumerate(part):
            yield from walk(each, (*loc, n), top=False)
    elif isinstance(part, dict):
        for key, each in part.items():
            yield from walk(each, (*loc, key), top=False)
