"""The whole stack in one folder: PostgreSQL, Asterisk, the carrier simulator and the engine under one supervisor.

``prepare`` gives a ``Plan``; ``Stack`` runs it. What a stranger may rely on, ``stack.json`` above all, stands in
``CONTRACT.md`` §1.
"""

import asyncio
import contextlib
import json
import os
import resource
import signal
import sys
from typing import Any

from engine.embedded.carrier import CarrierFront
from engine.embedded.plan import (
    ACCOUNT_NUMBERS,
    INSTANT_EXTENSION,
    LOOPBACK,
    ROOM_NUMBER,
    Plan,
    prepare,
    remove_socket_folder,
)
from engine.embedded.postgres import Postgres
from engine.embedded.state import State, write_private
from engine.embedded.supervisor import Child, ChildSpec, run_probe
from engine.telephony.provision import Folders

__all__ = ["Plan", "Stack", "answers", "engine_command", "prepare"]

_FILES = 65536
IVR_NUMBER = "15557000001"
"""Of the menu that ships (menus/welcome.yaml)."""


def engine_command(state: State) -> tuple[str, ...]:
    """``-P`` keeps the working directory off the module path."""
    engine = (sys.executable, "-P", "-m", "engine", "engine")
    return (*engine, "--config", str(state.engine_yaml), "--seed", str(state.seed_json))


class Stack:
    """The running children of a plan. ``start`` returns when all are ready and ``stack.json`` is written."""

    def __init__(self, plan: Plan, *, engine: tuple[str, ...] | None = None) -> None:
        self.plan = plan
        self._engine_command = engine or engine_command(plan.state)
        self._children: dict[str, Child] = {}
        self._front: CarrierFront | None = None
        self._complete = False

    async def start(self) -> None:
        """Raises StartFailed when a child keeps dying; ``stop`` is still to be called."""
        _raise_file_limit()
        batteries = [self._add(spec) for spec in self._battery_specs()]
        if self.plan.simulator is not None:
            ports = self.plan.secrets.ports
            self._front = CarrierFront()
            public, inner, peer = ((LOOPBACK, port) for port in (ports.carrier, ports.carrier_inner, ports.sip))
            await self._front.start(public, inner, peer)
        await _all_or_first_error([child.start() for child in batteries])
        await self._add(self._engine_spec()).start()
        self._complete = True
        self._write_description()

    async def failed(self) -> None:
        """Wait until supervision itself fails, which it should not; raises that error."""
        keepers = [child.keeper for child in self._children.values() if child.keeper is not None]
        done, _ = await asyncio.wait(keepers, return_when=asyncio.FIRST_COMPLETED)
        for keeper in done:
            keeper.result()

    async def stop(self, hasten: asyncio.Event | None = None) -> None:
        """End the children: engine (which drains), simulator, Asterisk, PostgreSQL. ``hasten`` ends draining."""
        self._complete = False
        self.plan.state.stack_json.unlink(missing_ok=True)
        for name in ("engine", "carrier", "asterisk", "postgres"):
            if name in self._children:
                await self._children[name].stop(hasten=hasten if name == "engine" else None)
        if self._front is not None:
            await self._front.close()
        for folders in (self.plan.folders, self.plan.simulator):
            if folders is not None:
                remove_socket_folder(self.plan.state, folders.run)

    def _add(self, spec: ChildSpec) -> Child:
        child = Child(spec, self.plan.state.run, self._changed)
        self._children[spec.name] = child
        return child

    def _changed(self, _child: Child) -> None:
        if self._complete:
            self._write_description()

    def _battery_specs(self) -> list[ChildSpec]:
        specs = [self._asterisk_spec("asterisk", self.plan.folders)]
        if self.plan.simulator is not None:
            specs.append(self._asterisk_spec("carrier", self.plan.simulator))
        if self.plan.postgres is not None:
            specs.append(self._postgres_spec(self.plan.postgres))
        return specs

    def _asterisk_spec(self, name: str, folders: Folders) -> ChildSpec:
        program = self.plan.asterisk
        probe = program.console(folders.etc, "core waitfullybooted")
        socket = folders.run / "asterisk.ctl"

        async def ready() -> bool:
            return socket.exists() and await run_probe(probe, 10)

        return ChildSpec(
            name=name,
            command=program.start(folders.etc),
            log=self.plan.state.log / f"{name}.log",
            ready=ready,
            stop_within=4 if name == "asterisk" else 3,
        )

    def _postgres_spec(self, server: Postgres) -> ChildSpec:
        return ChildSpec(
            name="postgres",
            command=server.command,
            log=self.plan.state.log / "postgres.log",
            ready=lambda: run_probe(server.ready),
            environment={"LC_ALL": "C"},
            identity=server.identity,
            stop_signal=signal.SIGINT,  # fast: sessions are cut, a checkpoint is made
            stop_within=5,
            death_signal=signal.SIGQUIT,  # at once, and its shared memory is given back
        )

    def _engine_spec(self) -> ChildSpec:
        http = self.plan.config.http
        return ChildSpec(
            name="engine",
            command=self._engine_command,
            log=self.plan.state.log / "engine.log",
            ready=lambda: answers(http.host, http.port, "/readyz"),
            environment={"PYTHONDONTWRITEBYTECODE": ""},  # compiled modules halve the time of every later start
            restart_after=0,
            stop_within=11,
        )

    def describe(self) -> dict[str, Any]:
        """What ``stack.json`` says."""
        plan, ports = self.plan, self.plan.secrets.ports
        server = plan.config.asterisk[0]
        pids = {name: child.pid for name, child in self._children.items() if name != "engine"}
        return {
            "api": f"http://{plan.config.http.host}:{plan.config.http.port}",
            "account": "account_1",
            "auth": plan.auths[0],
            "account_number": ACCOUNT_NUMBERS[0],
            "account_2": {"account": "account_2", "auth": plan.auths[1], "account_number": ACCOUNT_NUMBERS[1]},
            "postgres": plan.dsn,
            "asterisk": {
                "version": plan.asterisk.version,
                "sip": f"{LOOPBACK}:{ports.sip}",
                "ari": server.ari,
                "ari_user": server.ari_user,
                "ari_password": server.ari_password.get_secret_value(),
                "ami": server.ami,
                "ami_user": server.ami_user,
                "ami_secret": server.ami_secret.get_secret_value(),
                "cel": str(plan.folders.cel),
            },
            "fastagi": f"{plan.config.fastagi.host}:{plan.config.fastagi.port}",
            "carrier": plan.trunk,
            "softphones": [
                {"extension": phone.extension, "password": phone.password.get_secret_value()}
                for phone in plan.config.softphones
            ],
            "objects": str(plan.config.objects),
            "recordings": str(plan.config.recordings),
            "otp_template": plan.otp_template,
            "instant_extension": INSTANT_EXTENSION,
            "numbers": {"ivr": IVR_NUMBER, "room": ROOM_NUMBER},
            "engine_pid": self._children["engine"].pid,
            "pids": {"supervisor": os.getpid(), **pids},
        }

    def _write_description(self) -> None:
        write_private(self.plan.state.stack_json, json.dumps(self.describe(), indent=1) + "\n")


async def _all_or_first_error(starts: list[Any]) -> None:
    tasks = [asyncio.ensure_future(start) for start in starts]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def answers(host: str, port: int, path: str, seconds: float = 2.0) -> bool:
    """True when ``GET path`` is answered with 200 in time."""
    try:
        async with asyncio.timeout(seconds):
            reader, writer = await asyncio.open_connection(host, port)
            try:
                writer.write(f"GET {path} HTTP/1.1\r\nHost: {host}:{port}\r\nConnection: close\r\n\r\n".encode())
                return b" 200 " in await reader.readline()
            finally:
                writer.close()
                with contextlib.suppress(OSError):
                    await writer.wait_closed()
    except (OSError, TimeoutError):
        return False


def _raise_file_limit() -> None:
    """A call has a dozen descriptors in Asterisk; the children inherit our limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _FILES if hard == resource.RLIM_INFINITY else min(_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
