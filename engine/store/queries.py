"""SQL by name, from the files of ``sql/queries``: ``-- name: cdr_by_date`` and what follows up to the next name."""

import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from engine.errors import ConfigError
from engine.resources import folder

_NAME = re.compile(r"^-- name: (\w+)\s*$", re.MULTILINE)


@cache
def load() -> Mapping[str, str]:
    """Every named query. Raises ConfigError when two have one name."""
    found: dict[str, str] = {}
    for path in sorted((folder("sql") / "queries").glob("*.sql")):
        for name, text in parse(path):
            if name in found:
                raise ConfigError(f"{path}: query {name} is named twice")
            found[name] = text
    return found


def parse(path: Path) -> list[tuple[str, str]]:
    parts = _NAME.split(path.read_text(encoding="utf-8"))
    return [(name, text.strip()) for name, text in zip(parts[1::2], parts[2::2], strict=True)]


def query(name: str) -> str:
    return load()[name]
