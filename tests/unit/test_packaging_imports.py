"""What import-linter can't see, because it knows modules and not names (ADR 13)."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCES = sorted((ROOT / "engine").rglob("*.py"))

SERVERS = ("engine/api/", "engine/ops/", "engine/app/")
"""Where ``aiohttp.web`` may be named; app.py runs the server that api makes."""
READERS = ("engine/config.py", "engine/embedded/environment.py")
"""Where the environment is read."""
EARS = ("engine/media/", "engine/testkit/")
"""Where samples are counted."""


def name(path):
    return path.relative_to(ROOT).as_posix()


def imported(tree):
    """Dotted names that a module imports, ``from a import b`` as ``a.b``."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def attributes(tree):
    """``module.name`` as it is written."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            yield f"{node.value.id}.{node.attr}"


def uses(source):
    tree = ast.parse(source)
    return {*imported(tree), *attributes(tree)}


def begins(used, *modules):
    return any(use == module or use.startswith(f"{module}.") for use in used for module in modules)


@pytest.mark.parametrize("path", SOURCES, ids=name)
def test_names_stay_in_their_layer(path):
    used = uses(path.read_text(encoding="utf-8"))
    if not name(path).startswith(SERVERS):
        assert not begins(used, "aiohttp.web"), "aiohttp.web"
    if name(path) not in READERS:
        assert not begins(used, "os.environ", "os.getenv", "os.environb"), "the environment"
    if not name(path).startswith(EARS):
        assert not begins(used, "numpy", "soundfile"), "samples"


def test_a_breach_would_be_seen():
    assert begins(uses("from aiohttp import web"), "aiohttp.web")
    assert begins(uses("import aiohttp.web"), "aiohttp.web")
    assert begins(uses("import os\nx = os.environ['A']"), "os.environ")
    assert begins(uses("from os import environ"), "os.environ")
    assert not begins(uses("import aiohttp\naiohttp.ClientSession"), "aiohttp.web")
