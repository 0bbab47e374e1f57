"""The cache's folder: leases, room, secrets. Plain functions on files, run in a thread; safe between processes.

A file that somebody plays is held by a shared ``flock`` on itself, which the kernel lets go of when its holder dies. The
folder's size stands in the file ``size`` and is changed under its lock, before the file is there, so that it may be too
high after a crash but never too low; it is counted again before anything is removed.
"""

import contextlib
import fcntl
import os
import secrets
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

FILE_MODE, FOLDER_MODE = 0o640, 0o750
"""Asterisk may be another user, in the folder's group. Files get their mode whatever the umask; and there is one folder
and no more, because one that is made for both (setgid) can't hand that down to others under systemd's confinement."""
ONCE = "once-"
"""Files that are played and not kept begin with it."""
LEDGER = 64
"""Bytes kept for the file ``size``."""
SPARE = 20
"""The part of a full folder that is emptied at once, because counting it takes long: 70 ms for 4,000 files."""
HEADER = 44
"""Bytes of a WAV file before its samples; those from 40 on are the length of the rest."""


@dataclass(frozen=True, slots=True)
class Lease:
    """A file that nobody removes until ``close``."""

    path: Path
    size: int
    handle: int

    def touch(self) -> None:
        """Mark it as just used, by a clock that goes on between two uses: the kernel's own stamps stand for 4 ms."""
        now = time.time_ns()
        with contextlib.suppress(OSError):
            os.utime(self.handle, ns=(now, now))

    def close(self) -> None:
        os.close(self.handle)


class NoRoom(Exception):
    """Everything else in the folder is in use, or the file is larger than the folder may be."""


@dataclass(frozen=True, slots=True)
class Folder:
    """``<key>.wav``, ``once-<random>.wav``, ``<key>.lock``, ``size``. ``cap`` in bytes."""

    root: Path
    cap: int

    def prepare(self) -> None:
        """Make it, and delete what processes that are gone left: secrets, and locks. Raises OSError."""
        self.root.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
        for left in (*self.root.glob(f"{ONCE}*"), *self.root.glob("*.lock")):
            _remove_unused(left)

    def path(self, key: str) -> Path:
        return self.root / f"{key}.wav"

    def lock(self, key: str) -> Path:
        return self.root / f"{key}.lock"

    def keeps(self, path: Path) -> bool:
        """Whether a file outlives who plays it."""
        return not path.name.startswith(ONCE)

    def take(self, key: str) -> Lease | None:
        """The file of ``key``, held and marked as just used; None when there is none."""
        lease = _hold(self.path(key))
        if lease is not None:
            lease.touch()
        return lease

    def put(self, key: str, content: bytes) -> Lease:
        """Store by rename and hold it. Raises NoRoom, OSError."""
        path = self.path(key)
        with self._ledger() as ledger:
            total = self._make_room(_number(ledger), len(content))
            _write_number(ledger, total + len(content))
            handle = _create(part := path.with_suffix(".part"), content)
            lease = Lease(path, len(content), handle)
            lease.touch()
            part.replace(path)
        return lease

    def put_once(self, content: bytes) -> Lease:
        """A file under a name that means nothing. Not counted: it lives as long as its call. Raises OSError."""
        path = self.root / f"{ONCE}{secrets.token_hex(16)}.wav"
        return Lease(path, len(content), _create(path, content))

    def used(self) -> int:
        """Bytes of what is stored."""
        return sum(size for _, size, _ in self._stored())

    @contextlib.contextmanager
    def _ledger(self) -> Iterator[int]:
        handle = os.open(self.root / "size", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, FILE_MODE)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield handle
        finally:
            os.close(handle)

    def _make_room(self, total: int | None, needed: int) -> int:
        """The folder's size after the least recently used files made way for ``needed`` bytes."""
        limit = self.cap - needed - LEDGER
        if total is not None and total <= limit:
            return total
        stored = sorted(self._stored())
        total = sum(size for _, size, _ in stored)
        for _, size, path in stored:
            if total <= limit - self.cap // SPARE:
                break
            if _remove_unused(path):
                total -= size
        if total > limit:
            raise NoRoom
        return total

    def _stored(self) -> Iterator[tuple[int, int, Path]]:
        """(last use, size, path) of each file, and of halves that a killed process left."""
        with os.scandir(self.root) as entries:
            for entry in entries:
                if not entry.name.endswith((".wav", ".part")) or entry.name.startswith(ONCE):
                    continue
                with contextlib.suppress(OSError):
                    found = entry.stat(follow_symlinks=False)
                    yield found.st_mtime_ns, found.st_size, self.root / entry.name


def _hold(path: Path) -> Lease | None:
    try:
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    fcntl.flock(handle, fcntl.LOCK_SH)
    found = os.fstat(handle)
    if found.st_nlink == 0 or not _whole(handle, found.st_size):
        os.close(handle)
        return None
    return Lease(path, found.st_size, handle)


def _whole(handle: int, size: int) -> bool:
    """Whether the header tells the truth: a file that was renamed just before the power went may be empty."""
    return size > HEADER and os.pread(handle, 4, HEADER - 4) == (size - HEADER).to_bytes(4, "little")


def _create(path: Path, content: bytes) -> int:
    """Write a whole file, held from its first byte; the handle that holds it."""
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, FILE_MODE)
    try:
        fcntl.flock(handle, fcntl.LOCK_SH)
        os.fchmod(handle, FILE_MODE)
        view = memoryview(content)
        while view:
            view = view[os.write(handle, view) :]
    except BaseException:
        os.close(handle)
        path.unlink(missing_ok=True)
        raise
    return handle


def _remove_unused(path: Path) -> bool:
    """Delete it unless somebody holds it."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return not path.exists()
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        path.unlink(missing_ok=True)
    except OSError:
        return False
    finally:
        os.close(handle)
    return True


def _number(handle: int) -> int | None:
    text = os.pread(handle, LEDGER, 0)
    return int(text) if text.strip().isdigit() else None


def _write_number(handle: int, number: int) -> None:
    text = f"{number}\n".encode()
    os.pwrite(handle, text, 0)
    os.ftruncate(handle, len(text))
