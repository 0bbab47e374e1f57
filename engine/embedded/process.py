"""How a child process is started, known again and ended: death signals, identities, pid files."""

import ctypes
import os
import signal
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)


def die_with_parent(death: signal.Signals = signal.SIGKILL) -> Callable[[], None]:
    """A ``preexec_fn``: the kernel sends ``death`` to the child when the thread that started it is gone.

    Made before the fork, so that a parent that died in between is noticed. The kernel forgets it when the child
    changes its user, so the user is changed before (``subprocess`` does it in that order).
    """
    parent = os.getpid()

    def set_death_signal() -> None:
        _libc.prctl(_PR_SET_PDEATHSIG, int(death), 0, 0, 0)
        if os.getppid() != parent:
            os._exit(1)

    return set_death_signal


@dataclass(frozen=True)
class Process:
    """A process by its pid and the time it began, in clock ticks after boot: a pid alone may be somebody else's."""

    pid: int
    began: int


def look_up(pid: int) -> Process | None:
    """The process of that pid, from field 22 of ``/proc/<pid>/stat``; None when it is gone or a zombie."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in "ZX" else Process(pid, int(fields[19]))


def alive(process: Process) -> bool:
    return look_up(process.pid) == process


def write_pid(path: Path, pid: int) -> None:
    found = look_up(pid)
    if found is not None:
        path.write_text(f"{found.pid} {found.began}\n", encoding="ascii")


def read_pid(path: Path) -> Process | None:
    """What a pid file names, whether it lives or not; None for a missing or damaged file."""
    try:
        pid, began = path.read_text(encoding="ascii").split()
        return Process(int(pid), int(began))
    except (OSError, ValueError):
        return None


def signal_group(process: Process, number: signal.Signals) -> None:
    """Signal the process group that ``process`` leads, unless it is gone."""
    if not alive(process):
        return
    try:
        if os.getpgid(process.pid) == process.pid:
            os.killpg(process.pid, number)
        else:
            os.kill(process.pid, number)
    except ProcessLookupError:
        return
