"""A PostgreSQL for tests, that can be stopped, killed and frozen: the embedded one on a free port."""

import contextlib
import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

from engine.embedded.environment import child_environment
from engine.embedded.postgres import Postgres, identity_options, prepare
from engine.embedded.process import die_with_parent

_READY_SECONDS = 30.0


class DatabaseServer:
    """One server in a temporary folder of its own; every database in it is a test's."""

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="trunkline-pg-"))
        self._folder.chmod(0o755)
        self._password = secrets.token_hex(16)
        self._server: Postgres = prepare(self._folder / "data", _free_port(), self._password)
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
        shutil.rmtree(self._folder, ignore_errors=True)

    def _end(self, number: signal.Signals) -> None:
        assert self._process
        if number is signal.SIGKILL:
            self._signal_all(number)
        else:
            self._process.send_signal(number)
        self._process.wait(timeout=20)
        self._process = None

    def _signal_all(self, number: signal.Signals) -> None:
        """Each of its processes leads a group of its own. The parent stands still meanwhile, so that none is missed."""
        assert self._process
        parent = self._process.pid
        os.kill(parent, signal.SIGSTOP)
        children = Path(f"/proc/{parent}/task/{parent}/children").read_text(encoding="ascii").split()
        for pid in (*map(int, children), parent):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
