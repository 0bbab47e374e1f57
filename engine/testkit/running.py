"""A stack in a process of its own, as ``make run`` starts it."""

import asyncio
import contextlib
import json
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from engine.embedded.environment import child_environment
from engine.embedded.process import die_with_parent, look_up
from engine.testkit.poll import eventually

STARTS_WITHIN = 600.0
"""Seconds; the first start on a machine fetches Asterisk."""
STOPS_WITHIN = 60.0


@dataclass(frozen=True)
class Running:
    """``state`` lies in a temporary folder of its own, or where the caller wants it."""

    state: Path
    process: subprocess.Popen[bytes]
    output: IO[bytes]
    temporary: Path | None

    @classmethod
    def start(cls, environment: Mapping[str, str] | None = None, *, state: Path | None = None) -> "Running":
        """Start it; ``ready`` waits for it. ``environment`` is added to ours. It dies with this process."""
        temporary = None if state else _temporary_folder()
        folder = state or temporary
        assert folder is not None
        home = folder / "state folder" if temporary else folder
        home.mkdir(mode=0o755, parents=True, exist_ok=True)
        output = (home / "supervisor.out").open("ab")
        process = subprocess.Popen(
            (sys.executable, "-P", "-m", "engine", "run"),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd="/",
            env=child_environment({"TRUNKLINE_STATE": str(home), **(environment or {})}),
            preexec_fn=die_with_parent(signal.SIGTERM),  # noqa: PLW1509
            process_group=0,
        )
        return cls(home, process, output, temporary)

    async def ready(self, within: float = STARTS_WITHIN) -> None:
        """Wait for ``stack.json``. Raises AssertionError with the supervisor's words when it ends before."""
        path = self.state / "stack.json"

        async def look() -> bool:
            assert self.process.poll() is None, f"the stack did not start:\n{self.said()}"
            return path.exists()

        await eventually(look, within=within, what="stack.json", tell=self._tell)

    async def stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        """End it; asserts that the supervisor and all its children are gone, and with exit code 0."""
        children = self._children()
        if self.process.poll() is None:
            self.process.send_signal(number)
        try:
            code = await asyncio.to_thread(self.process.wait, STOPS_WITHIN)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise AssertionError(f"the stack did not stop within {STOPS_WITHIN:g} s:\n{self.said()}") from None
        finally:
            self.output.close()
        left = {name: pid for name, pid in children.items() if look_up(pid) is not None}
        assert not left, f"still running after the stop: {left}"
        assert code == 0, f"the supervisor ended with {code}:\n{self.said()}"

    async def abandon(self) -> None:
        """End it after something failed, asserting nothing that would hide what did."""
        with contextlib.suppress(AssertionError):
            await self.stop()

    def said(self, lines: int = 20) -> str:
        """The last words of the supervisor."""
        text = (self.state / "supervisor.out").read_text(encoding="utf-8", errors="replace")
        return "\n".join(text.splitlines()[-lines:])

    def remove(self, *, keep_logs: bool = False) -> None:
        """Delete the temporary folder; where something failed, all but the logs."""
        if self.temporary is None:
            return
        if keep_logs:
            for part in ("postgres", "asterisk", "simulator", "recordings"):
                shutil.rmtree(self.state / part, ignore_errors=True)
        else:
            shutil.rmtree(self.temporary, ignore_errors=True)

    def _children(self) -> dict[str, int]:
        try:
            described = json.loads((self.state / "stack.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        pids = {**described["pids"], "engine": described["engine_pid"]}
        return {name: pid for name, pid in pids.items() if pid and name != "supervisor"}

    async def _tell(self) -> str:
        return self.said()


def _temporary_folder() -> Path:
    """Private but for passing through, which PostgreSQL needs where it runs as another user."""
    folder = Path(tempfile.mkdtemp(prefix="trunkline-test-"))
    folder.chmod(0o711)
    return folder
