"""A CSV file's bytes as lines of text, whatever program wrote it: encoding, line ends, and what is no text at all."""

from collections.abc import Iterator
from typing import IO

LONGEST_LINE = 65_536
"""Bytes (characters of a UTF-16 file)."""
_PIECE = 1 << 18
_WORKBOOKS = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")
"""How .xlsx and .xls files begin."""
_CONTROL = bytes(sorted(set(range(32)) - set(b"\t\n\r\x0b\x0c\x1b")))
_NO_CONTROL = dict.fromkeys(_CONTROL)


class BadFile(Exception):
    """The file as a whole can't be read; says why."""


def lines(file: IO[bytes]) -> Iterator[str]:
    """The lines, without their ends. UTF-8 and UTF-16 by their marks, else UTF-8, else Windows-1252. Raises BadFile."""
    head = file.read(4)
    file.seek(0)
    if head[:2] in (b"\xff\xfe", b"\xfe\xff"):
        yield from _wide(file)
        return
    if head.startswith(_WORKBOOKS):
        raise BadFile("is an Excel workbook or an archive: save it as CSV")
    if head.startswith(b"\xef\xbb\xbf"):
        file.seek(3)
    yield from _narrow(file)


def _wide(file: IO[bytes]) -> Iterator[str]:
    encoding = "utf-16-le" if file.read(2) == b"\xff\xfe" else "utf-16-be"
    rest, number = "", 1
    while piece := file.read(_PIECE):  # a multiple of two, so that only a surrogate pair can be cut
        try:
            text = (rest.encode(encoding, "surrogatepass") + piece).decode(encoding, "surrogatepass")
        except UnicodeDecodeError:
            raise BadFile("is not the UTF-16 that its first bytes say") from None
        if "\0" in text:
            raise BadFile("is binary, not CSV")
        found = _split(text)
        rest = _whole_but_for(found.pop(), number + len(found))
        for line in found:
            if len(line) > LONGEST_LINE:
                raise _too_long(number)
            number += 1
            yield _plain(line)
    if rest:
        yield _plain(rest)


def _whole_but_for(rest: str, number: int) -> str:
    if len(rest) > LONGEST_LINE:
        raise _too_long(number)
    return rest


def _split(text: str) -> list[str]:
    """At line ends; a carriage return at the very end may be half of one, and stays with the rest."""
    held = text.endswith("\r")
    found = (text[:-1] if held else text).replace("\r\n", "\n").replace("\r", "\n").split("\n")
    if held:
        found[-1] += "\r"
    return found


def _plain(line: str) -> str:
    line = line.removesuffix("\r")
    try:
        line.encode()
    except UnicodeEncodeError:
        raise BadFile("is not the UTF-16 that its first bytes say") from None
    return line


def _narrow(file: IO[bytes]) -> Iterator[str]:
    rest, number, encoding = b"", 1, "utf-8"
    while piece := file.read(_PIECE):
        if piece.translate(None, _CONTROL) != piece:
            raise BadFile("is binary, not CSV")
        whole, rest = _cut(rest + piece)
        if len(rest) > LONGEST_LINE:
            raise _too_long(number + whole.count(b"\n"))
        text, encoding = _decoded(whole, encoding)
        for line in text.replace("\r\n", "\n").replace("\r", "\n").split("\n")[:-1] if whole else ():
            if len(line) > LONGEST_LINE:
                raise _too_long(number)
            number += 1
            yield line
    if rest:
        yield _decoded(rest, encoding)[0].removesuffix("\r")


def _cut(data: bytes) -> tuple[bytes, bytes]:
    """Whole lines, and the beginning of the next. A lone carriage return ends a line too (old Macs)."""
    end = data.rfind(b"\n") + 1
    if end == 0 and b"\r" in data[:-1]:
        end = data.rfind(b"\r", 0, -1) + 1
    return data[:end], data[end:]


def _decoded(data: bytes, encoding: str) -> tuple[str, str]:
    """What is not UTF-8 is Windows-1252, from then on: Excel writes what Windows is set to."""
    try:
        return data.decode(encoding), encoding
    except UnicodeDecodeError:
        return data.decode("cp1252", "replace"), "cp1252"


def _too_long(number: int) -> BadFile:
    return BadFile(f"line {number} is longer than {LONGEST_LINE} bytes")
