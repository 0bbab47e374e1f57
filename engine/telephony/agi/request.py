"""What Asterisk says first on a FastAGI connection: a block of ``agi_name: value`` lines and an empty one.

Whoever reaches the port can send anything, so that all is bounded: a line, their number, and the time to the first and
to the last of them. What is no request is BadRequest, whatever it is.
"""

import asyncio
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qsl, unquote

LONGEST_LINE: Final = 4096
"""Bytes. Asterisk's own reader of replies takes 2048; a URL and its arguments are what is long."""
MOST_LINES: Final = 200
"""Asterisk sends about 22, and up to 128 arguments."""
FIRST_LINE_WITHIN: Final = 3.0
ALL_WITHIN: Final = 6.0
MOST_PARAMS: Final = 32
LONGEST_PARAM: Final = 256

_LINE = re.compile(r"agi_([a-z0-9_]{1,40}):[ ]?(.*)")
_FLOW = re.compile(r"[a-z][a-z0-9_]{0,63}")
_PARAM = re.compile(r"[a-z][a-z0-9_]{0,31}")
_UNIQUE_ID = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.:\-]{0,149}")


class BadRequest(Exception):
    """What came is no AGI request, or not in time. The text says why and quotes nothing of it."""


@dataclass(frozen=True, slots=True)
class AgiRequest:
    """``fields``: what Asterisk tells of the channel, names without ``agi_``. ``flow``: the path of the URL. ``params``:
    its query and those arguments that have the form ``name=value``; the others are ``arg_1``, ``arg_2``…"""

    fields: Mapping[str, str]
    flow: str
    params: Mapping[str, str]

    @property
    def channel_id(self) -> str:
        return self.fields["uniqueid"]

    @property
    def channel(self) -> str:
        return self.fields["channel"]

    @property
    def caller(self) -> str:
        caller = self.fields.get("callerid", "")
        return "" if caller == "unknown" else caller

    @property
    def exten(self) -> str:
        """What was dialled, as the dialplan has it."""
        return self.fields.get("extension", "")


async def read_request(
    reader: asyncio.StreamReader, *, first_within: float = FIRST_LINE_WITHIN, all_within: float = ALL_WITHIN
) -> AgiRequest:
    """Raises BadRequest."""
    try:
        async with asyncio.timeout(all_within):
            return parse(await _lines(reader, first_within))
    except TimeoutError:
        raise BadRequest("too slow") from None
    except (ConnectionError, asyncio.IncompleteReadError):
        raise BadRequest("cut off") from None


async def _lines(reader: asyncio.StreamReader, first_within: float) -> list[bytes]:
    async with asyncio.timeout(first_within):
        lines = [await _line(reader)]
    if not lines[0].startswith(b"agi_"):
        raise BadRequest("not AGI")
    while line := await _line(reader):
        lines.append(line)
        if len(lines) > MOST_LINES:
            raise BadRequest("too many lines")
    return lines


async def _line(reader: asyncio.StreamReader) -> bytes:
    try:
        line = await reader.readuntil(b"\n")
    except asyncio.LimitOverrunError:
        raise BadRequest("a line is too long") from None
    if len(line) > LONGEST_LINE:
        raise BadRequest("a line is too long")
    return line.rstrip(b"\r\n")


def parse(lines: list[bytes]) -> AgiRequest:
    """Pure. Raises BadRequest."""
    fields: dict[str, str] = {}
    for line in lines:
        match = _LINE.fullmatch(line.decode(errors="replace"))
        if match is None:
            raise BadRequest("not AGI")
        fields[match[1]] = match[2]
    if not _UNIQUE_ID.fullmatch(fields.get("uniqueid", "")) or not fields.get("channel"):
        raise BadRequest("names no channel")
    path, _, query = fields.get("network_script", "").partition("?")
    return AgiRequest(fields, _flow(path), _params(query, fields))


def _flow(path: str) -> str:
    """A flow's name; empty where it could be none."""
    name = unquote(path).strip("/")
    return name if _FLOW.fullmatch(name) else ""


def _params(query: str, fields: Mapping[str, str]) -> dict[str, str]:
    try:
        pairs = parse_qsl(query, keep_blank_values=True, max_num_fields=MOST_PARAMS)
    except ValueError:
        raise BadRequest("too many parameters") from None
    arguments = [(number, fields[f"arg_{number}"]) for number in range(1, MOST_PARAMS) if f"arg_{number}" in fields]
    for number, argument in arguments:
        name, equals, value = argument.partition("=")
        pairs.append((name, value) if equals and _PARAM.fullmatch(name) else (f"arg_{number}", argument))
    return {name: value for name, value in pairs if _PARAM.fullmatch(name) and _harmless(value)}


def _harmless(value: str) -> bool:
    return len(value) <= LONGEST_PARAM and value.isprintable()
