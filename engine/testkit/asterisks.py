"""Two real Asterisks without an engine: ours, and the carrier simulator. For tests of what talks to Asterisk."""

import asyncio
import base64
import contextlib
import signal
import tempfile
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import aiohttp
from pydantic import SecretStr

from engine.config import AsteriskServer, Softphone, Trunk
from engine.embedded import asterisk, environment
from engine.embedded.carrier import render_carrier
from engine.embedded.process import die_with_parent
from engine.telephony.provision import Deployment, Folders, render
from engine.testkit.poll import eventually
from engine.testkit.ports import Ports

TRUNK: Final = "carrier"
"""The trunk's name: a number is dialled as ``PJSIP/<number>@carrier``."""
_READY: Final = 60.0
_STOPPED: Final = 3.0
"""Seconds a stop may take; Asterisk waits up to 15 for channels."""
_NOT_FOUND: Final = 404
_WORDS: Final = "p&w=?#%+ x"
"""A password with all that a URL could trip over."""


@dataclass
class Server:
    """One Asterisk as a child process."""

    program: asterisk.Asterisk
    folders: Folders
    process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        with (self.folders.log / "console.log").open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                *self.program.start(self.folders.etc),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                preexec_fn=die_with_parent(),
            )
        await self._ready()

    async def stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        if self.process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(number)
        try:
            await asyncio.wait_for(self.process.wait(), _STOPPED)
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                self.process.kill()
            await self.process.wait()
        self.process = None

    async def console(self, line: str) -> str:
        done = await asyncio.create_subprocess_exec(
            *self.program.console(self.folders.etc, line),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
        said, _ = await done.communicate()
        return said.decode(errors="replace")

    async def _ready(self) -> None:
        """Until all its modules are loaded. Raises TimeoutError."""
        deadline = time.monotonic() + _READY
        while "fully booted" not in (await self.console("core waitfullybooted")).lower():
            if time.monotonic() > deadline:
                raise TimeoutError(f"Asterisk did not boot within {_READY} s; see {self.folders.log}")
            await asyncio.sleep(0.05)


@dataclass
class Asterisks:
    ours: Server
    carrier: Server
    server: AsteriskServer
    """How to reach ours."""
    results: Path
    """What the simulator's callees heard."""
    ports: Ports
    """For what else the test starts."""

    async def forgets(self, app: str) -> None:
        """Wait until ours has cleared up after the link of ``app`` that was stopped, whose channels are gone: until then
        it may take the name away from the next link. Raises NotInTime."""
        user, password = self.server.ari_user, self.server.ari_password.get_secret_value()
        word = base64.b64encode(f"{user}:{password}".encode()).decode()
        async with aiohttp.ClientSession(headers={"Authorization": f"Basic {word}"}) as session:

            async def look() -> bool:
                async with session.get(f"{self.server.ari}/applications/{app}") as answer:
                    return answer.status == _NOT_FOUND

            await eventually(look, within=60, what=f"end of the application {app}")


@contextlib.asynccontextmanager
async def asterisks(app: str, fastagi: str = "127.0.0.1:4573") -> AsyncIterator[Asterisks]:
    """Both, started in a folder of their own, ended and removed at the end. ``fastagi``: where TRUNKLINE_AGI leads."""
    program = asterisk.find(environment.read(), lambda _: None)
    with tempfile.TemporaryDirectory(prefix="tl-ast-") as base, Ports() as ports:
        pair = _prepare(program, Path(base), ports, app, fastagi)
        try:
            async with asyncio.TaskGroup() as both:
                both.create_task(pair.ours.start())
                both.create_task(pair.carrier.start())
            yield pair
        finally:
            await asyncio.gather(pair.ours.stop(), pair.carrier.stop())


def _prepare(program: asterisk.Asterisk, base: Path, ports: Ports, app: str, fastagi: str) -> Asterisks:
    ours, carrier = _folders(base / "ours", program), _folders(base / "carrier", program)
    http, ami, sip, far_sip = (ports.address() for _ in range(4))
    render(
        Deployment(
            folders=ours,
            sip=sip,
            http=http,
            ami=ami,
            rtp=ports.rtp,
            ari_user="tester",
            ari_password=_WORDS,
            ami_user="tester",
            ami_secret="secret",
            app=app,
            fastagi=fastagi,
            softphones=(Softphone(extension="101", password=SecretStr("secret-of-101")),),
            trunks={TRUNK: Trunk(host=far_sip)},
            ringback="us",
        )
    )
    render_carrier(carrier, far_sip, ports.far_rtp, base / "results", sip)
    server = AsteriskServer(
        ari=f"http://{http}/ari",
        ari_user="tester",
        ari_password=SecretStr(_WORDS),
        ami=ami,
        ami_user="tester",
        ami_secret=SecretStr("secret"),
        cel=ours.cel,
        request_timeout=30,
    )
    return Asterisks(Server(program, ours), Server(program, carrier), server, base / "results", ports)


def _folders(base: Path, program: asterisk.Asterisk) -> Folders:
    return Folders(
        modules=program.modules,
        data=program.data,
        **{name: base / name for name in ("etc", "var", "run", "log", "spool", "db", "keys")},
    )
