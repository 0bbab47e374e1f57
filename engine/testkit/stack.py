"""A running stack in a test's hands: its API as both accounts, its Asterisk, its callees, its processes."""

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from engine.embedded.carrier import Heard, place_inbound
from engine.embedded.environment import child_environment
from engine.embedded.stack import answers
from engine.telephony.cel import CelFile, ChannelHistory
from engine.telephony.provision import Folders
from engine.testkit import heard
from engine.testkit.ari import AsteriskView
from engine.testkit.client import Client
from engine.testkit.heard import Callee
from engine.testkit.phone import Phone
from engine.testkit.poll import eventually

READY_WITHIN = 120.0
COMMAND_WITHIN = 120.0
_LOG_TAIL = 40
"""Lines."""


@dataclass
class Stack:
    """``async with Stack(state_folder) as stack``; the stack itself is somebody else's to start and stop."""

    state: Path
    api: Client = field(init=False)
    """account_1"""
    api2: Client = field(init=False)
    """account_2"""
    ari: AsteriskView = field(init=False)
    _open: contextlib.AsyncExitStack = field(default_factory=contextlib.AsyncExitStack, init=False, repr=False)

    async def __aenter__(self) -> Self:
        described, second = self.json, self.json["account_2"]
        server = described["asterisk"]
        enter = self._open.enter_async_context
        self.api = await enter(Client(described["api"], described["account"], described["auth"]))
        self.api2 = await enter(Client(described["api"], second["account"], second["auth"]))
        self.ari = await enter(AsteriskView(server["ari"], server["ari_user"], server["ari_password"]))
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._open.aclose()

    @property
    def json(self) -> dict[str, Any]:
        """``stack.json`` as it is now. Raises FileNotFoundError while the stack is not up."""
        described = json.loads((self.state / "stack.json").read_text(encoding="utf-8"))
        assert isinstance(described, dict)
        return described

    @property
    def dsn(self) -> str:
        return str(self.json["postgres"])

    @property
    def engine_pid(self) -> int:
        return int(self.json["engine_pid"])

    # -- who is on the other side ----------------------------------------------------------------------------------

    async def callee(self, number: str, within: float = 60.0) -> Callee:
        """What ``number`` heard in its last call, once that has ended. Raises NotInTime."""
        return await heard.last_call(self.state / "carrier", number, within)

    def calls_of(self, number: str) -> list[Heard]:
        """Finished calls of ``number`` at the simulator."""
        return heard.calls_of(self.state / "carrier", number)

    async def phone(self, extension: str, **settings: Any) -> Phone:
        """A softphone of the stack, not registered yet; the caller closes it."""
        passwords = {each["extension"]: each["password"] for each in self.json["softphones"]}
        return await Phone.open(self.json["asterisk"]["sip"], extension, passwords[extension], **settings)

    def dial_in(self, called: str, caller: str, **behaviour: Any) -> None:
        """Have the network call ``called`` over the trunk. ``behaviour`` as in ``carrier.place_inbound``; what the
        caller heard is read by ``callee(caller)``."""
        base = self.state / "simulator"
        names = ("etc", "modules", "data", "var", "run", "log", "spool", "db", "keys")
        place_inbound(Folders(**{name: base / name for name in names}), caller, called, **behaviour)

    # -- Asterisk's own record -------------------------------------------------------------------------------------

    async def cel(self, channel_ids: Collection[str]) -> dict[str, ChannelHistory]:
        """What CEL tells of these channels; one it never saw is missing."""
        file = CelFile(Path(self.json["asterisk"]["cel"]))
        return await asyncio.to_thread(file.lookup, channel_ids, 0)

    async def ended_channels(self, *channel_ids: str, within: float = 60.0) -> Mapping[str, ChannelHistory]:
        """Their histories, once CEL has the end of each. Raises NotInTime."""

        async def look() -> Mapping[str, ChannelHistory] | None:
            found = await self.cel(channel_ids)
            done = all(each in found and found[each].ended_at for each in channel_ids)
            return found if done else None

        return await eventually(look, within=within, what=f"end of {', '.join(channel_ids)} in CEL", every=0.05)

    # -- the command line ------------------------------------------------------------------------------------------

    async def trunkline(self, *words: str) -> str:
        """Standard output of ``trunkline WORDS…`` about this stack; asserts that it went well."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-P", "-m", "engine", *words),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            cwd="/",
            env=child_environment({"TRUNKLINE_STATE": str(self.state)}),
        )
        async with asyncio.timeout(COMMAND_WITHIN):
            out, err = await process.communicate()
        assert process.returncode == 0, f"trunkline {' '.join(words)}: {err.decode()}"
        return out.decode()

    # -- processes -------------------------------------------------------------------------------------------------

    def pid(self, name: str) -> int:
        """Of ``engine``, ``asterisk``, ``postgres``, ``carrier`` or ``supervisor``."""
        described = self.json
        return int(described["engine_pid"] if name == "engine" else described["pids"][name])

    def kill(self, name: str, number: signal.Signals = signal.SIGKILL) -> int:
        """Send a signal; gives the pid it went to. The supervisor starts a dead part again."""
        pid = self.pid(name)
        os.kill(pid, number)
        return pid

    async def wait_ready(self, *, name: str = "engine", but: int | None = None, within: float = READY_WITHIN) -> None:
        """Wait until ``/readyz`` says so and the pid of ``name`` is another than ``but``. Raises NotInTime."""
        host, _, port = self.api.base.removeprefix("http://").rpartition(":")

        async def look() -> bool:
            with contextlib.suppress(FileNotFoundError):
                return self.pid(name) != but and await answers(host, int(port), "/readyz")
            return False

        await eventually(look, within=within, what=f"ready stack with a new {name}", every=0.05)

    def log_tails(self) -> list[tuple[str, str]]:
        """(name, last lines) of each log file that has any."""
        return [(path.name, _tail(path)) for path in sorted((self.state / "log").glob("*.log")) if path.stat().st_size]


def _tail(path: Path) -> str:
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - 16_384))
        lines = file.read().decode("utf-8", "replace").splitlines()
    return "\n".join(lines[-_LOG_TAIL:])
