"""The whole stack in one folder: PostgreSQL, Asterisk, the carrier simulator and the engine under one supervisor.

``prepare`` does all that blocks (fetching, initialising, rendering) and gives a ``Plan``; ``Stack`` runs it. What a
stranger may rely on, ``stack.json`` above all, stands in ``CONTRACT.md`` §1.
"""

import asyncio
import contextlib
import hashlib
import json
import os
import resource
import signal
import stat
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import yaml

from engine import config
from engine.embedded import asterisk, postgres
from engine.embedded.asterisk import Asterisk
from engine.embedded.carrier import CarrierFront, render_carrier
from engine.embedded.environment import Environment
from engine.embedded.postgres import Postgres
from engine.embedded.state import Secrets, State, open_secrets, write_private
from engine.embedded.supervisor import Child, ChildSpec, clear_leftovers, run_probe
from engine.errors import ConfigError
from engine.telephony.provision import Deployment, Folders, render

Say = Callable[[str], None]
LOOPBACK = "127.0.0.1"
CALLER_IDS = ("15168148111", "15168148720")
_LONGEST_SOCKET_FOLDER = 90
"""Bytes; Asterisk's control socket must fit the 108 of ``sun_path``."""
_FILES = 65536


@dataclass(frozen=True)
class Plan:
    """Everything that is known before the first child runs."""

    state: State
    environment: Environment
    secrets: Secrets
    asterisk: Asterisk
    folders: Folders
    simulator: Folders | None
    """None when ``TRUNK`` names another network."""
    postgres: Postgres | None
    """None when ``TRUNKLINE_POSTGRES`` names a server."""
    dsn: str
    config: config.Config
    lock: IO[str]

    @property
    def trunk(self) -> str:
        return self.environment.trunk or f"{LOOPBACK}:{self.secrets.ports.carrier}"


def prepare(environment: Environment, say: Say) -> Plan:
    """Make the state folder ready to be started; what takes time is said. Holds the folder's lock from here on.

    Raises ConfigError, FetchFailed or StartFailed, each with a message for people.
    """
    state = State(environment.state)
    state.create()
    with contextlib.ExitStack() as undo:
        lock = undo.enter_context(state.lock())
        state.stack_json.unlink(missing_ok=True)
        for name in clear_leftovers(state.run, {"postgres": signal.SIGQUIT}):
            say(f"ended {name}, left behind by an earlier supervisor")
        plan = _plan(state, environment, lock, say, undo)
        _write_configuration(plan)
        undo.pop_all()
    return plan


def _plan(state: State, environment: Environment, lock: IO[str], say: Say, undo: contextlib.ExitStack) -> Plan:
    found = asterisk.find(environment, say)
    secrets = open_secrets(state, say)
    database = None if environment.postgres else _database(state, secrets, say)
    dsn = environment.postgres or (database.dsn(secrets.postgres) if database else "")
    folders = _folders(state, state.asterisk, found, undo)
    simulator = None if environment.trunk else _folders(state, state.simulator, found, undo)
    settings = _settings(state, environment, secrets, folders, dsn)
    return Plan(state, environment, secrets, found, folders, simulator, database, dsn, settings, lock)


def _database(state: State, secrets: Secrets, say: Say) -> Postgres:
    if not state.postgres.exists():
        say("initialising PostgreSQL")
    return postgres.prepare(state.postgres, secrets.ports.postgres, secrets.postgres)


def _folders(state: State, base: Path, program: Asterisk, undo: contextlib.ExitStack) -> Folders:
    names = ("etc", "var", "log", "spool", "db", "keys")
    base.mkdir(mode=0o700, exist_ok=True)
    made = {name: base / name for name in names}
    for folder in made.values():
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    sockets = _socket_folder(base / "run")
    undo.callback(_remove_socket_folder, state, sockets)
    return Folders(modules=program.modules, data=program.data, run=sockets, **made)


def _socket_folder(wanted: Path) -> Path:
    """``wanted``, or where its path is too long for a Unix socket, a private folder under the temporary one."""
    if len(os.fsencode(wanted)) <= _LONGEST_SOCKET_FOLDER:
        wanted.mkdir(mode=0o700, parents=True, exist_ok=True)
        return wanted
    digest = hashlib.sha256(os.fsencode(wanted)).hexdigest()[:12]
    short = Path(tempfile.gettempdir()) / f"trunkline-{os.geteuid()}-{digest}"
    short.mkdir(mode=0o700, exist_ok=True)
    found = short.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o077:
        raise ConfigError(f"{short} is not a private folder of ours; remove it")
    return short


def _settings(state: State, environment: Environment, secrets: Secrets, folders: Folders, dsn: str) -> config.Config:
    ports = secrets.ports
    trunk = environment.trunk or f"{LOOPBACK}:{ports.carrier}"
    generated: dict[str, Any] = {
        "engine_id": environment.engine_id or secrets.engine_id,
        "state": str(state.engine),
        "objects": str(state.objects),
        "recordings": str(state.recordings),
        "database": {"dsn": dsn},
        "http": {"host": LOOPBACK, "port": ports.api},
        "fastagi": {"host": LOOPBACK, "port": ports.fastagi},
        "asterisk": [
            {
                "ari": f"http://{LOOPBACK}:{ports.ari}/ari",
                "ari_user": "trunkline",
                "ari_password": secrets.ari,
                "ami": f"{LOOPBACK}:{ports.ami}",
                "ami_user": "trunkline",
                "ami_secret": secrets.ami,
                "cel": str(folders.cel),
                "recordings": str(folders.spool / "recording"),
            }
        ],
        "trunks": {"carrier": {"host": trunk, "match": [trunk]}},
        "softphones": [{"extension": key, "password": word} for key, word in secrets.softphones.items()],
        "webhooks": {"allow": list(environment.hook_allow)},
    }
    merged = merge(generated, _own_settings(state.settings_yaml))
    settings = config.parse(merged, source=str(state.settings_yaml))
    write_private(state.engine_yaml, yaml.safe_dump(merged, sort_keys=False))
    return settings


def merge(generated: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """A user's settings over the generated ones: mappings key by key, one level deep; anything else replaces."""
    merged = dict(generated)
    for key, value in own.items():
        below = merged.get(key)
        merged[key] = {**below, **value} if isinstance(below, dict) and isinstance(value, dict) else value
    return merged


def _own_settings(path: Path) -> dict[str, Any]:
    try:
        raw = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, yaml.YAMLError) as error:
        raise ConfigError(f"{path}: {error}") from error
    if raw is not None and not isinstance(raw, dict):
        raise ConfigError(f"{path}: must be a mapping of settings")
    return raw or {}


def _write_configuration(plan: Plan) -> None:
    ports, secrets = plan.secrets.ports, plan.secrets
    render(
        Deployment(
            folders=plan.folders,
            sip=f"{LOOPBACK}:{ports.sip}",
            http=f"{LOOPBACK}:{ports.ari}",
            ami=f"{LOOPBACK}:{ports.ami}",
            rtp=ports.block(ports.rtp),
            ari_user="trunkline",
            ari_password=secrets.ari,
            ami_user="trunkline",
            ami_secret=secrets.ami,
            app=plan.config.app,
            fastagi=f"{LOOPBACK}:{ports.fastagi}",
            softphones=plan.config.softphones,
            trunks=plan.config.trunks,
            ringback=plan.config.ringback,
        )
    )
    if plan.simulator is not None:
        rtp = ports.block(ports.carrier_rtp)
        inner, peer = f"{LOOPBACK}:{ports.carrier_inner}", f"{LOOPBACK}:{ports.sip}"
        render_carrier(plan.simulator, inner, rtp, plan.state.carrier, peer, public=f"{LOOPBACK}:{ports.carrier}")
    accounts = [
        {"account": name, "auth": auth, "number": number, "country": country, "caller_ids": list(CALLER_IDS)}
        for name, auth, number, country in (
            ("account_1", secrets.auth, 1234, "91"),
            ("account_2", secrets.auth_2, 1235, "1"),
        )
    ]
    write_private(plan.state.seed_json, json.dumps({"accounts": accounts}, indent=1))


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
                _remove_socket_folder(self.plan.state, folders.run)

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
        plan, secrets, ports = self.plan, self.plan.secrets, self.plan.secrets.ports
        server = plan.config.asterisk[0]
        pids = {name: child.pid for name, child in self._children.items() if name != "engine"}
        return {
            "api": f"http://{plan.config.http.host}:{plan.config.http.port}",
            "account": "account_1",
            "auth": secrets.auth,
            "account_2": {"account": "account_2", "auth": secrets.auth_2},
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


def _remove_socket_folder(state: State, folder: Path) -> None:
    """Remove what ``_socket_folder`` made outside of the state folder."""
    if folder.is_relative_to(state.root):
        return
    with contextlib.suppress(OSError):
        for file in folder.iterdir():
            file.unlink()
        folder.rmdir()
