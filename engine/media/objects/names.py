import re

from engine.errors import InvalidFields, NotFound

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}", re.ASCII)
"""One part of a path, and not a hidden one: nothing that climbs out of the account's folder."""


def new(name: str) -> str:
    """A name that something is to be kept under. Raises InvalidFields."""
    if not _NAME.fullmatch(name):
        rule = "must be 1 to 128 letters, digits, dots, dashes or underscores, and not begin with a dot or a dash"
        raise InvalidFields({"name": rule})
    return name


def known(name: str) -> str:
    """A name that something may have. Raises NotFound."""
    if not _NAME.fullmatch(name):
        raise NotFound("no object has this name")
    return name
