"""Where the files that ship beside the code are: in a checkout at the top level, in a wheel under ``engine/_data``."""

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


def folder(name: str) -> Path:
    """Folder ``sql``, ``dialplan``, ``menus`` or ``asterisk-conf``."""
    packed = _PACKAGE / "_data" / name
    return packed if packed.exists() else _PACKAGE.parent / name
