"""Which mirror this host's own apt uses: pure parsing of its sources, in both formats.

``sources.list(5)``: one-line entries (``deb [signed-by=…] URI suite component…``) and deb822 stanzas
(``Types: URIs: Suites: Components: Signed-By:``). Comments hold dead addresses and other vendors' lists lie beside
the archive's, so entries are ranked and not merely found.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

_ONE_LINE = re.compile(r"deb\s+(?:\[(?P<options>[^\]]*)\]\s+)?(?P<uri>\S+)\s+(?P<suite>\S+)(?P<components>(?:\s+\S+)*)")


@dataclass(frozen=True)
class Source:
    uri: str
    suite: str
    components: tuple[str, ...]
    signed_by: str = ""
    """Path of a keyring, fingerprints, or a whole key block, as deb822 writes it; empty: the host's trusted keys."""


def parse_list(text: str) -> list[Source]:
    """Entries of a ``.list`` file; ``deb-src``, ``cdrom:`` and comments are left out."""
    return list(_one_line_entries(text))


def _one_line_entries(text: str) -> Iterator[Source]:
    for line in text.splitlines():
        match = _ONE_LINE.fullmatch(line.split("#", 1)[0].strip())
        if match is None or match["uri"].startswith("cdrom:"):
            continue
        options = dict(part.partition("=")[::2] for part in (match["options"] or "").split())
        yield Source(match["uri"], match["suite"], tuple(match["components"].split()), options.get("signed-by", ""))


def parse_deb822(text: str) -> list[Source]:
    """Entries of a ``.sources`` file, one for each URI and suite; disabled stanzas and ``deb-src`` are left out."""
    return [source for stanza in _stanzas(text) for source in _stanza_entries(stanza)]


def _stanza_entries(stanza: dict[str, str]) -> Iterator[Source]:
    if "deb" not in stanza.get("types", "").split() or stanza.get("enabled", "yes").lower() in ("no", "false", "0"):
        return
    for uri in stanza.get("uris", "").split():
        for suite in stanza.get("suites", "").split():
            yield Source(uri, suite, tuple(stanza.get("components", "").split()), stanza.get("signed-by", "").rstrip())


def _stanzas(text: str) -> Iterator[dict[str, str]]:
    stanza: dict[str, str] = {}
    field = ""
    for line in text.splitlines():
        if line.startswith("#"):
            continue
        if not line.strip():
            if stanza:
                yield stanza
            stanza, field = {}, ""
        elif line[0] in " \t":
            if field:
                stanza[field] += "\n" + line
        else:
            name, _, value = line.partition(":")
            field = name.strip().lower()
            stanza[field] = value.strip()
    if stanza:
        yield stanza


def rank(sources: Iterable[Source], codename: str) -> list[Source]:
    """The entries that can be the archive itself, likeliest first.

    The archive's entry has the host's code name as its suite (or a moving name, on a host that follows one) and the
    component ``main``; so have some vendors' lists, which come last: their address does not end in ``/debian`` and
    is not signed by the archive's keys.
    """
    moving = ("sid", "unstable", "testing", "stable")
    fitting = [item for item in sources if "main" in item.components and item.suite in (codename, *moving)]
    return sorted(dict.fromkeys(fitting), key=lambda item: _distance(item, codename))


def _distance(source: Source, codename: str) -> int:
    uri = source.uri.rstrip("/")
    points = 0 if source.suite == codename else 1
    points += 0 if uri.endswith(("/debian", ".list")) else 2
    points += 0 if "debian-archive" in source.signed_by else 1
    return points


def host_sources(etc: Path = Path("/etc/apt")) -> list[Source]:
    """Every entry of this host, in apt's own order of reading; files that can't be read are skipped."""
    files = [etc / "sources.list", *sorted((etc / "sources.list.d").glob("*"))]
    found: list[Source] = []
    for file in files:
        parser = {".list": parse_list, ".sources": parse_deb822}.get(file.suffix)
        if parser is None:
            continue
        try:
            found += parser(file.read_text(encoding="utf-8", errors="replace"))
        except OSError:
            continue
    return found


def os_release(path: Path = Path("/etc/os-release")) -> dict[str, str]:
    """``os-release(5)`` as a dictionary; empty where there is none."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError:
        return {}
    pairs = (line.partition("=") for line in lines if "=" in line and not line.startswith("#"))
    return {name: value.strip().strip("\"'") for name, _, value in pairs}
