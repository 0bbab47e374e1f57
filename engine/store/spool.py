"""Journal records on disk while PostgreSQL is away: one append-only file, fsynced, drained in order, then emptied.

A line is a frame: ``<crc32> <length> <kind> <json>``, CRC and length in eight hex digits each, over ``<kind> <json>``.
A torn last line (killed, or power lost, in mid-write) was never acknowledged and is cut off when the file is opened; a
damaged line in the middle is put aside and the rest is kept. The file is emptied only when all of it is in PostgreSQL:
killed in between, it is drained again from its beginning, and since records are idempotent that changes nothing.

Methods block; the journal calls those that fsync from a thread.
"""

import errno
import json
import os
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from zlib import crc32

from engine.errors import ConfigError, StoreAway
from engine.store.entry import KINDS, Entry

_HEAD = 18
_READ = 1 << 18
"""Bytes read at once; a longer line is read whole."""


class Spool:
    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._file = -1
        self._end = 0
        """Where the last whole line ends. What lies behind it is a write that failed."""
        self._mark = 0
        self._next = 0
        self.damaged = 0
        """Lines put aside because their sum was wrong."""

    def open(self) -> None:
        """Raises ConfigError when the folder can't be used."""
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._file = os.open(self._folder / "journal.spool", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            self._sync_folder()
            self._end = self._whole(os.fstat(self._file).st_size)
            os.ftruncate(self._file, self._end)
        except OSError as error:
            raise ConfigError(f"the spool {self._folder} can't be used: {error.strerror or error}") from error

    def close(self) -> None:
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    @property
    def empty(self) -> bool:
        return self._end == 0

    @property
    def drained(self) -> bool:
        """All of it was read and taken."""
        return self._mark >= self._end

    @property
    def waiting(self) -> int:
        """Bytes not taken yet."""
        return self._end - self._mark

    def append(self, entries: Sequence[Entry]) -> None:
        """Durable when it returns; nothing of it is kept when it raises StoreAway."""
        data = b"".join(map(frame, entries))
        try:
            if os.fstat(self._file).st_size != self._end:
                os.ftruncate(self._file, self._end)
            _write_all(self._file, data, self._end)
            os.fdatasync(self._file)
        except OSError as error:
            raise StoreAway(f"the spool takes nothing: {error.strerror or error}") from error
        self._end += len(data)

    def read(self, limit: int) -> list[Entry]:
        """Up to ``limit`` entries that were not taken yet; the same again until ``taken``. Raises StoreAway."""
        entries: list[Entry] = []
        position = self._mark
        try:
            while len(entries) < limit and position < self._end:
                lines = self._lines(position)
                for line in lines[: limit - len(entries)]:
                    position += len(line)
                    self._take(line, entries)
        except OSError as error:
            raise StoreAway(f"the spool can't be read: {error.strerror or error}") from error
        self._next = position
        return entries

    def taken(self) -> None:
        """What ``read`` gave is in PostgreSQL."""
        self._mark = self._next

    def clear(self) -> None:
        """Empty the file; everything in it was taken. Raises StoreAway."""
        try:
            os.ftruncate(self._file, 0)
            os.fdatasync(self._file)
        except OSError as error:
            raise StoreAway(f"the spool can't be emptied: {error.strerror or error}") from error
        self._end = self._mark = self._next = 0

    def reject(self, entry: Entry, reason: str) -> None:
        """Put aside, in ``rejected.jsonl``, what PostgreSQL will never take. Raises StoreAway."""
        self._put_aside({"kind": entry.kind, "error": reason, "record": json.loads(entry.text)})

    def _take(self, line: bytes, entries: list[Entry]) -> None:
        entry = unframe(line)
        if entry is not None:
            entries.append(entry)
            return
        self.damaged += 1
        self._put_aside({"kind": "damaged", "error": "the sum is wrong", "record": line.decode("utf-8", "replace")})

    def _put_aside(self, value: dict[str, object]) -> None:
        line = json.dumps({"at": datetime.now(UTC).isoformat(), **value}) + "\n"
        try:
            file = os.open(
                self._folder / "rejected.jsonl", os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600
            )
            try:
                os.write(file, line.encode())
                os.fsync(file)
            finally:
                os.close(file)
        except OSError as error:
            raise StoreAway(f"the spool takes nothing: {error.strerror or error}") from error

    def _lines(self, position: int) -> list[bytes]:
        """Whole lines from ``position`` on, at least one: ``_end`` is always behind a line break."""
        size = _READ
        while True:
            block = os.pread(self._file, min(size, self._end - position), position)
            if not block:
                raise OSError(errno.EIO, "shorter than it was written")
            cut = block.rfind(b"\n")
            if cut >= 0:
                return [line + b"\n" for line in block[:cut].split(b"\n")]
            size *= 2

    def _whole(self, size: int) -> int:
        """Length of the file without its torn end: behind the last line whose sum is right."""
        end = size
        while end:
            start = self._line_start(end)
            if unframe(os.pread(self._file, end - start, start)) is not None:
                return end
            end = start
        return 0

    def _line_start(self, end: int) -> int:
        """Offset of the line that ends at ``end``."""
        at = end - 1
        while at > 0:
            start = max(0, at - _READ)
            found = os.pread(self._file, at - start, start).rfind(b"\n")
            if found >= 0:
                return start + found + 1
            at = start
        return 0

    def _sync_folder(self) -> None:
        folder = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def frame(entry: Entry) -> bytes:
    body = f"{entry.kind} {entry.text}".encode("ascii")
    return b"%08x %08x %s\n" % (crc32(body), len(body), body)


def unframe(line: bytes) -> Entry | None:
    """The entry of a line; None when it is not whole."""
    body = line[_HEAD:-1]
    if not line.endswith(b"\n") or line[:_HEAD] != b"%08x %08x " % (crc32(body), len(body)):
        return None
    kind, _, text = body.decode("ascii").partition(" ")
    return Entry(kind, text) if kind in KINDS else None


def _write_all(file: int, data: bytes, offset: int) -> None:
    view = memoryview(data)
    while view:
        written = os.pwrite(file, view, offset)
        view, offset = view[written:], offset + written
