"""Documentation is true of the tree: links lead somewhere, commands and targets exist, routes are served."""

import contextlib
import io
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine import cli
from engine.api.table import OPEN_ROUTES, ROUTES

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
SAMPLES = {"engine/flows/wake_up.py"}
"""Files that a page tells its reader to write."""

_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
_INLINE = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")
_PATH = re.compile(r"(?:engine|tests|sql|docker|systemd|docs|dialplan|asterisk-conf)/[\w./-]*\w")
_CURL = re.compile(r'curl(?P<options>[^"]*)"\$API(?P<path>[^"?]*)')


def name(page: Path) -> str:
    return str(page.relative_to(ROOT))


def blocks(page: Path, *languages: str) -> Iterator[str]:
    for language, text in _BLOCK.findall(page.read_text(encoding="utf-8")):
        if language in languages:
            yield text.replace("\\\n", " ")


def inline(page: Path) -> list[str]:
    return _INLINE.findall(_BLOCK.sub("", page.read_text(encoding="utf-8")))


def anchor(heading: str) -> str:
    """GitHub's."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


def commands(page: Path) -> Iterator[list[str]]:
    """Words behind each ``trunkline`` in a shell block."""
    for text in blocks(page, "sh"):
        for line in text.splitlines():
            words = shlex.split(line, comments=True)
            for at, word in enumerate(words):
                if word.rpartition("/")[2] == "trunkline" and len(words) > at + 1 and words[at + 1] not in ("&&", "|"):
                    ends = [n for n, later in enumerate(words) if n > at and later in ("&&", "|", ";")]
                    yield words[at + 1 : min(ends, default=len(words))]


def test_there_are_pages():
    assert len(PAGES) > 20


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_links_lead_somewhere(page):
    text = _BLOCK.sub("", page.read_text(encoding="utf-8"))
    for link in _LINK.findall(text):
        target, _, fragment = link.partition("#")
        if re.match(r"[a-z]+:", target):
            continue
        found = (page.parent / target).resolve() if target else page
        assert found.exists(), f"{name(page)}: {link}"
        if fragment:
            headings = re.findall(r"^#+ (.*)$", found.read_text(encoding="utf-8"), re.MULTILINE)
            assert fragment in map(anchor, headings), f"{name(page)}: {link}"


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_files_that_are_named_exist(page):
    for text in inline(page):
        for path in _PATH.findall(text):
            literal = path.rstrip(".")
            assert (ROOT / literal).exists() or literal in SAMPLES or "*" in text, f"{name(page)}: {literal}"


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_commands_in_shell_blocks_are_parsed(page):
    for words in commands(page):
        told = io.StringIO()
        with contextlib.redirect_stderr(told), contextlib.redirect_stdout(told):
            try:
                cli._parser(words).parse_args(words)
            except SystemExit:
                pytest.fail(f"{name(page)}: trunkline {shlex.join(words)}: {told.getvalue().strip()}")


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_commands_in_text_exist(page):
    for text in inline(page):
        for match in re.finditer(r"(?:^|[ /])trunkline ((?:[a-z][a-z-]*)(?: [a-z][a-z-]*)?)", text):
            assert known(match[1].split()), f"{name(page)}: {text}"


def known(words):
    """Whether ``--help`` of that command, and of its action where it has some, is there."""
    if words[0] not in cli.COMMANDS:
        return False
    parser = cli._parser(words)
    actions = [action for action in parser._actions if getattr(action, "choices", None)]
    inner = actions[0].choices[words[0]]
    below = [action for action in inner._actions if action.dest == "action" and action.choices]
    return not below or len(words) == 1 or words[1] in below[0].choices


def test_an_unknown_command_would_be_noticed():
    assert known(["calls", "replay"])
    assert not known(["calls", "rewind"])
    assert not known(["teleport"])


def targets():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    return set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_make_targets_exist(page):
    for text in [*inline(page), *blocks(page, "sh")]:
        for target in re.findall(r"(?:^|[\s`;&])make ([a-z][a-z-]*)", text):
            assert target in targets(), f"{name(page)}: make {target}"


def served(method, path):
    """Whether a route of the table takes ``path``, whose variable parts have values."""
    patterns = [(route.method, route.path) for route in ROUTES] + [(route.method, route.path) for route in OPEN_ROUTES]
    return any(
        method == known_method and re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", known_path), path)
        for known_method, known_path in patterns
    )


def test_curl_examples_meet_routes():
    seen = set()
    for page in PAGES:
        for text in blocks(page, "sh"):
            for line in text.splitlines():
                for match in _CURL.finditer(line):
                    given = re.search(r"-X (\w+)", match["options"])
                    method = given[1] if given else "POST" if " -d " in line else "GET"
                    assert served(method, match["path"]), f"{name(page)}: {method} {match['path']}"
                    seen.add((method, match["path"].split("/57362de4f0")[0]))
    assert ("POST", "/api/click2call") in seen


def test_every_route_is_in_the_page_of_the_api():
    text = (ROOT / "docs/http-api.md").read_text(encoding="utf-8").replace("57362de4f0.wav", "{recording_name}")
    text = text.replace("57362de4f0", "{request_id}")
    text = text.replace("WH0123456789", "{webhook_id}").replace("/4711", "/{delivery_id}")
    text = text.replace("AN2222314c96", "{template_id}").replace("call/17", "call/{Id}").replace("Call/17", "Call/{Id}")
    text = text.replace("/rooms/8000", "/rooms/{room_id}").replace("RA0123456789", "{access_id}")
    text = text.replace("5f3a0b0e-6a55-4c39-9e0e-1f5d3c1a7b42", "{member_id}")
    text = text.replace("/welcome", "/{name}").replace("/list.csv", "/{name}")
    text = text.replace("accounts/1234", "accounts/{account_id}").replace("79-5C-7D-28-1B-B3", "{mac_address}")
    text = text.replace("3fa85f64-5717-4562-b3fc-2c963f66afa6", "{call_id}")
    text = text.replace("27613f3e-6f4b-505e-be2b-b1b5052e5045", "{leg_id}")
    text = text.replace("campaigns/CMcc0cb33a01", "campaigns/{campaign_id}")
    text = text.replace("campaign_lists/LSdb6a12e1f1", "campaign_lists/{list_id}")
    for route in ROUTES:
        assert f'"$API{route.path}' in text, route.path


def test_code_samples_are_python_that_imports():
    found = 0
    for page in PAGES:
        for text in blocks(page, "python"):
            exec(compile(text, name(page), "exec"), {})
            found += 1
    assert found >= 2
