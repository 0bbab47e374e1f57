"""A PostgreSQL for tests, that can be stopped, killed and frozen: the embedded one on a free port."""

import contextlib
import os
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from engine.embedded.environment import child_environment
from engine.embedded.postgres import Postgres, identity_options, prepare
from engine.embedded.process import Process, alive, die_with_parent, look_up
from engine.testkit.ports import Ports

_READY_SECONDS = 60.0
_ENDED_SECONDS = 60.0


class DatabaseServer:
    """One server in a temporary folder of its own; every database in it is a test's."""

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="trunkline-pg-"))
        self._folder.chmod(0o755)
        self._password = secrets.token_hex(16)
        self._ports = Ports()
        self._server: Postgres = prepare(self._folder / "data", self._ports.one(), self._password)
        self._process: subprocess.Popen[bytes] | None = None

    def dsn(self, database: str = "trunkline") -> str:
        return self._server.dsn(self._password).rpartition("/")[0] + f"/{database}"

    @property
    def port(self) -> int:
        return self._server.port

    def start(self) -> None:
        """Returns when it accepts connections."""
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                self._server.command,
                stdout=log,
                stderr=log,
                cwd="/",
                env=child_environment({"LC_ALL": "C"}),
                start_new_session=True,
                preexec_fn=die_with_parent(),  # noqa: PLW1509 - no locks are held over the fork
                **identity_options(self._server.identity),
            )
        deadline = time.monotonic() + _READY_SECONDS
        while subprocess.run(self._server.ready, check=False, cwd="/").returncode != 0:
            if time.monotonic() > deadline or self._process.poll() is not None:
                self._process = self._process if self._process.returncode is None else None
                raise RuntimeError(f"PostgreSQL does not start: {(self._folder / 'log').read_text()[-500:]}")
            time.sleep(0.02)

    def stop(self) -> None:
        """Fast shutdown: connections are cut, what was committed is written; without the writing where that takes long."""
        try:
            self._end(signal.SIGINT)
        except subprocess.TimeoutExpired:
            self._end(signal.SIGQUIT)

    def kill(self) -> None:
        """All its processes at once, in whatever they are doing."""
        self._end(signal.SIGKILL)

    def freeze(self) -> None:
        """It keeps its connections and answers nothing."""
        self._signal_all(signal.SIGSTOP)

    def thaw(self) -> None:
        self._signal_all(signal.SIGCONT)

    @property
    def running(self) -> bool:
        return self._process is not None

    def remove(self) -> None:
        if self._process:
            self.thaw()
            self.kill()
        self._ports.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _end(self, number: signal.Signals) -> None:
        """Until the last of its processes is gone: a new server refuses the memory that an old one still has."""
        assert self._process
        known = self._signal_all(number) if number is signal.SIGKILL else []
        if number is not signal.SIGKILL:
            self._process.send_signal(number)
        self._process.wait(timeout=_ENDED_SECONDS)
        self._process = None
        _until(lambda: not any(map(alive, known)), "end of its processes")

    def _signal_all(self, number: signal.Signals) -> list[Process]:
        """Each of its processes leads a group of its own. The parent stands still meanwhile, so that none is missed."""
        assert self._process
        parent = self._process.pid
        os.kill(parent, signal.SIGSTOP)
        _until(lambda: _stands_still(parent), "standstill")
        children = Path(f"/proc/{parent}/task/{parent}/children").read_text(encoding="ascii").split()
        known = [look_up(pid) for pid in (*map(int, children), parent)]
        for pid in (*map(int, children), parent):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
        return [process for process in known if process is not None]


def _stands_still(pid: int) -> bool:
    """Stopped, or dead."""
    return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0] in "TtZX"


def _until(holds: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + _ENDED_SECONDS
    while not holds():
        if time.monotonic() > deadline:
            raise RuntimeError(f"PostgreSQL: no {what} within {_ENDED_SECONDS:g} s")
        time.sleep(0.005)
