"""URLs that somebody outside gave us: read once, by the parser that the request will use too, or refused with a reason.

Two parsers that differ are how requests end up elsewhere than where a check looked.
"""

import re
from ipaddress import ip_address

from yarl import URL

LONGEST = 2048
_HOST = re.compile(r"(?!-)[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*\.?", re.ASCII)
_NUMERIC = re.compile(r"[0-9.]+|(0x[0-9a-f]*|[0-9]+)(\.(0x[0-9a-f]*|[0-9]+))*", re.ASCII)
"""What inet_aton(3) takes for an IPv4 address; only its usual form is taken here."""
_LOCAL = re.compile(r"(.+\.)?(localhost|localdomain|local|internal|intranet|lan|home\.arpa)\.?", re.ASCII)


class BadUrl(ValueError):
    """Why it is refused, to be told to whoever gave it."""


def parse(text: str) -> URL:
    """Raises BadUrl. What comes back is canonical: host in lower case and ASCII, path and query quoted."""
    if not text or len(text) > LONGEST:
        raise BadUrl(f"must have 1 to {LONGEST} characters")
    if "\\" in text or any(character.isspace() or not character.isprintable() for character in text):
        raise BadUrl("must not have spaces, backslashes or control characters")
    try:
        url = URL(text)
        host, port = url.raw_host or "", url.port
    except (ValueError, UnicodeError, IndexError):  # yarl raises the last for "http://[]@"
        raise BadUrl("is not a URL") from None
    _check(url, host, port)
    url = url.with_fragment(None)
    if len(str(url)) > LONGEST:
        raise BadUrl(f"must have at most {LONGEST} characters when it is quoted")
    return url


def _check(url: URL, host: str, port: int | None) -> None:
    if url.scheme not in ("http", "https"):
        raise BadUrl("must begin with http:// or https://")
    if url.raw_user is not None or url.raw_password is not None:
        raise BadUrl("must not have a user name or password")
    if port is None or not 1 <= port <= 65535:  # noqa: PLR2004
        raise BadUrl("has no port from 1 to 65535")
    if ":" in host or _NUMERIC.fullmatch(host):
        _check_literal(host)
    elif not _HOST.fullmatch(host) or len(host) > 253:  # noqa: PLR2004
        raise BadUrl("has no proper host name")


def _check_literal(host: str) -> None:
    try:
        usual = str(ip_address(host))
    except ValueError:
        usual = ""
    if not usual or "%" in host or (":" not in host and usual != host):
        raise BadUrl("has an address that is not written in the usual way")


def literal(url: URL) -> str | None:
    """The address that stands in the URL, where a name is usual."""
    host = url.raw_host or ""
    return host if ":" in host or _NUMERIC.fullmatch(host) else None


def local_name(host: str) -> bool:
    """A name that means something inside a network alone (RFC 6761, RFC 6762, and what clouds use)."""
    return _LOCAL.fullmatch(host) is not None
