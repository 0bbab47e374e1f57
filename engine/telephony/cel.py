"""Asterisk's own record of a channel: the CSV that cel_custom writes in its sample format.

It tells how a channel ended that ended while nobody listened. Times are those of CEL, microseconds; our channel ids
stand in the ``uniqueid`` column. The whole module blocks on files: call it in a thread.

A reading starts at a bookmark, so that it does not grow with the file. The caller moves the bookmark (``remember``) to
where the oldest call that still lives began; it is kept with the file's inode, and a file that was rotated away is
found again by it, beside the new one.
"""

import csv
import json
import os
from collections.abc import Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

_COLUMNS: Final = 20
_TYPE, _TIME, _CHANNEL_NAME, _UNIQUE_ID, _EXTRA = 0, 1, 9, 14, 19
_KINDS: Final = (b'"CHAN_START"', b'"ANSWER"', b'"HANGUP"', b'"CHAN_END"')
_TAIL: Final = 1 << 16
"""Bytes at the end of the file in which its last line end is looked for; a line is a fraction of it."""


@dataclass(frozen=True, slots=True)
class ChannelHistory:
    """What CEL tells of one channel; None and empty where it tells nothing (yet)."""

    channel_id: str
    channel: str = ""
    created_at: datetime | None = None
    answered_at: datetime | None = None
    ended_at: datetime | None = None
    cause: int | None = None
    """Q.850."""
    hangup_source: str = ""
    """Name of the channel that hung up; empty when the engine or Asterisk did."""
    dial_status: str = ""

    @property
    def ended_by_party(self) -> bool:
        """The channel's own party hung up."""
        return bool(self.channel) and self.hangup_source == self.channel


@dataclass(frozen=True, slots=True)
class _Bookmark:
    inode: int = 0
    offset: int = 0


class CelFile:
    """``bookmark`` is a small file in the engine's state folder; without one each reading starts at the beginning."""

    def __init__(self, path: Path, bookmark: Path | None = None) -> None:
        self._path = path
        self._bookmark = bookmark

    def offset(self) -> int:
        """Where the next line will begin; 0 when there is no file."""
        try:
            with self._path.open("rb") as file:
                size = file.seek(0, os.SEEK_END)
                start = file.seek(max(0, size - _TAIL))
                return start + file.read(size - start).rfind(b"\n") + 1
        except FileNotFoundError:
            return 0

    def remember(self, offset: int) -> None:
        """Move the bookmark; written by rename, so that a crash leaves the old or the new one."""
        if self._bookmark is None:
            return
        with suppress(FileNotFoundError):
            mark = {"inode": self._path.stat().st_ino, "offset": offset}
            part = self._bookmark.with_name(f"{self._bookmark.name}.part")
            part.write_text(json.dumps(mark), encoding="utf-8")
            part.replace(self._bookmark)

    def lookup(self, channel_ids: Collection[str], since_offset: int | None = None) -> dict[str, ChannelHistory]:
        """The history of each of these channels that has one; read from the offset, or else from the bookmark."""
        wanted = frozenset(channel_ids)
        found: dict[str, ChannelHistory] = {}
        mark = self._remembered() if since_offset is None else _Bookmark(self._inode(), since_offset)
        for path, offset in self._parts(mark) if wanted else ():
            for row in _rows(path, offset):
                if row[_UNIQUE_ID] in wanted:
                    _apply(found, row)
        return found

    def _parts(self, mark: _Bookmark) -> Iterator[tuple[Path, int]]:
        """The files to read, oldest first, with the offset to start at."""
        if mark.inode == self._inode():
            yield self._path, mark.offset
            return
        for sibling in self._path.parent.glob(f"{self._path.name}?*"):
            if sibling.stat().st_ino == mark.inode:
                yield sibling, mark.offset
        yield self._path, 0

    def _inode(self) -> int:
        try:
            return self._path.stat().st_ino
        except FileNotFoundError:
            return 0

    def _remembered(self) -> _Bookmark:
        """The bookmark; the beginning when it is missing or torn."""
        if self._bookmark is None:
            return _Bookmark(self._inode())
        try:
            raw = json.loads(self._bookmark.read_text(encoding="utf-8"))
            return _Bookmark(int(raw["inode"]), int(raw["offset"]))
        except (OSError, ValueError, KeyError, TypeError):
            return _Bookmark(self._inode())


def _rows(path: Path, offset: int) -> Iterator[list[str]]:
    """The rows that tell of a channel's life; what is torn is left out."""
    try:
        file = path.open("rb")
    except FileNotFoundError:
        return
    with file:
        if offset <= file.seek(0, os.SEEK_END):
            file.seek(offset)
        else:  # truncated since
            file.seek(0)
        for line in file:
            if line.startswith(_KINDS) and line.endswith(b"\n"):
                row = next(csv.reader([line.decode(errors="replace")]))
                if len(row) == _COLUMNS:
                    yield row


def _apply(found: dict[str, ChannelHistory], row: list[str]) -> None:
    channel_id = row[_UNIQUE_ID]
    at = _time(row[_TIME])
    history = found.get(channel_id) or ChannelHistory(channel_id)
    match row[_TYPE]:
        case "CHAN_START":
            history = ChannelHistory(channel_id, row[_CHANNEL_NAME], created_at=at)
        case "ANSWER":
            history = replace(history, answered_at=history.answered_at or at)
        case "HANGUP":
            history = replace(_with_end(history, _extra(row[_EXTRA])), ended_at=at)
        case _:
            history = replace(history, ended_at=history.ended_at or at)
    found[channel_id] = history if history.channel else replace(history, channel=row[_CHANNEL_NAME])


def _with_end(history: ChannelHistory, extra: dict[str, Any]) -> ChannelHistory:
    cause = extra.get("hangupcause")
    return replace(
        history,
        cause=cause if isinstance(cause, int) else None,
        hangup_source=str(extra.get("hangupsource", "")),
        dial_status=str(extra.get("dialstatus", "")),
    )


def _extra(text: str) -> dict[str, Any]:
    try:
        extra = json.loads(text)
    except ValueError:
        return {}
    return extra if isinstance(extra, dict) else {}


def _time(text: str) -> datetime | None:
    """Seconds since 1970 with a fraction, Asterisk's default; or ISO, taken for UTC where it names no zone."""
    try:
        return datetime.fromtimestamp(float(text), UTC)
    except ValueError:
        pass
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return None
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
