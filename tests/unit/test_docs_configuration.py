"""docs/configuration.md has every key of engine/config.py, with its default, and no other."""

import re
from pathlib import Path
from typing import get_args, get_origin

from pydantic import BaseModel

from engine.config import Config
from engine.embedded import environment

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs/configuration.md").read_text(encoding="utf-8")
_ROW = re.compile(r"^\| `([a-zA-Z_.*]+)` \| ([^|]*) \| ([^|]*) \| ([^|]*) ?\|$", re.MULTILINE)


def model_of(annotation):
    """(model within the annotation, how its keys are told apart from a single one's)"""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation, ""
    inner = [model for part in get_args(annotation) if (model := model_of(part)[0])]
    if not inner:
        return None, ""
    return inner[0], {dict: ".NAME", tuple: ".*"}.get(get_origin(annotation), "")


def keys(model, prefix=""):
    for name, field in model.model_fields.items():
        path = prefix + (field.alias or name)
        inner, mark = model_of(field.annotation)
        if inner is None:
            yield path, field
            continue
        if mark:
            yield path, field
        yield from keys(inner, f"{path}{mark}.")


def told(field):
    """A default as the page writes it."""
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=True)
    value = value.get_secret_value() if hasattr(value, "get_secret_value") else value
    if value is None or value in ((), {}):
        return "none"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, tuple):
        return f"`{', '.join(map(str, value))}`"
    return '`""`' if value == "" else f"`{value}`"


def test_every_key_has_its_row_and_its_default():
    rows = {key: (kind.strip(), default.strip()) for key, kind, default, _ in _ROW.findall(PAGE)}
    expected = {path: told(field) for path, field in keys(Config)}
    assert rows.keys() - set(environment_rows()) == expected.keys()
    assert {key: rows[key][1] for key in expected} == expected
    assert all(rows[key][0] for key in expected)


def environment_rows():
    return re.findall(r"^\| `([A-Z_]+)`", PAGE, re.MULTILINE)


def test_every_environment_variable_of_the_batteries_is_listed():
    listed = set(environment_rows())
    for variable in re.findall(r"^``([A-Z_]+)``", environment.__doc__ or "", re.MULTILINE):
        assert variable in listed
    source = (ROOT / "engine/config.py").read_text(encoding="utf-8")
    assert set(re.findall(r"TRUNKLINE_[A-Z_]+", source)) <= listed


def test_limits_of_accounts_are_in_their_page():
    from engine.calls.account import Limits

    page = (ROOT / "docs/accounts-and-routes.md").read_text(encoding="utf-8")
    for name in Limits.__dataclass_fields__:
        assert f"`{name}`" in page, name
