"""What a stack needs before its first child runs: a place, a lock, programs, secrets, and configuration written down.

``prepare`` does all that blocks: fetching, initialising, rendering.
"""

import contextlib
import hashlib
import hmac
import json
import os
import signal
import stat
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any
from urllib.parse import unquote, urlsplit

import yaml

from engine import config
from engine.embedded import asterisk, postgres
from engine.embedded.asterisk import Asterisk
from engine.embedded.carrier import render_carrier
from engine.embedded.environment import Environment
from engine.embedded.postgres import Postgres
from engine.embedded.state import Secrets, State, open_secrets, write_private
from engine.embedded.supervisor import clear_leftovers
from engine.errors import ConfigError
from engine.telephony.provision import Deployment, Folders, render

Say = Callable[[str], None]
LOOPBACK = "127.0.0.1"
CALLER_IDS = ("15168148111", "15168148720")
INSTANT_EXTENSION = 100
"""Number of the short audio file that a fresh stack has for instant calls."""
ACCOUNT_NUMBERS = (1234, 1235)
"""In call-control paths."""
ROOM_NUMBER = "15557000002"
"""The inbound number that leads to room 8000."""
_ROOM = {
    "id": "8000",
    "account": "account_1",
    "name": "Conference",
    "number": "8000",
    "numbers": [ROOM_NUMBER],
    "accesses": [
        {"id": "RA0000008001", "label": "guests", "level": "GUEST", "pin": "1234"},
        {"id": "RA0000008002", "label": "admins", "level": "ADMIN", "pin": "4321"},
    ],
}
_LONGEST_SOCKET_FOLDER = 90
"""Bytes; Asterisk's control socket must fit the 108 of ``sun_path``."""
_UNGUESSABLE = 20
"""Characters; generated passwords have 24."""


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
    auths: tuple[str, str]
    """Of account_1 and account_2."""
    lock: IO[str]

    @property
    def trunk(self) -> str:
        return self.environment.trunk or f"{LOOPBACK}:{self.secrets.ports.carrier}"

    @property
    def otp_template(self) -> str:
        """Id of the template that account_1 has from the first start on: the same at every start."""
        return f"AN{hashlib.sha256(self.secrets.engine_id.encode()).hexdigest()[:10]}"


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
    if asterisk.below_floor(found.release):
        say(f"Asterisk {found.version} has known security holes; `trunkline doctor` says more")
    secrets = open_secrets(state, say)
    database = None if environment.postgres else _database(state, secrets, say)
    dsn = environment.postgres or (database.dsn(secrets.postgres) if database else "")
    folders = _folders(state, state.asterisk, found, undo)
    simulator = None if environment.trunk else _folders(state, state.simulator, found, undo)
    settings = _settings(state, environment, secrets, folders, dsn)
    return Plan(
        state,
        environment,
        secrets,
        found,
        folders,
        simulator,
        database,
        dsn,
        settings,
        shared_auths(secrets, dsn),
        lock,
    )


def _database(state: State, secrets: Secrets, say: Say) -> Postgres:
    if not state.postgres.exists():
        say("initialising PostgreSQL")
    return postgres.prepare(state.postgres, secrets.ports.postgres, secrets.postgres)


def shared_auths(secrets: Secrets, dsn: str) -> tuple[str, str]:
    """Secrets of the two fresh accounts, which stacks on one database have in common.

    The database keeps digests of what the first stack gave it, so a second one could not learn them: both derive them
    from the password of the database, if that is one that can't be guessed. Otherwise the folder's own are used.
    """
    password = unquote(urlsplit(dsn).password or "")
    if len(password) < _UNGUESSABLE:
        return secrets.auth, secrets.auth_2
    first, second = (hmac.digest(password.encode(), name, "sha256").hex()[:32] for name in (b"account_1", b"account_2"))
    return first, second


def _folders(state: State, base: Path, program: Asterisk, undo: contextlib.ExitStack) -> Folders:
    names = ("etc", "var", "log", "spool", "db", "keys")
    base.mkdir(mode=0o700, exist_ok=True)
    made = {name: base / name for name in names}
    for folder in made.values():
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    sockets = _socket_folder(base / "run")
    undo.callback(remove_socket_folder, state, sockets)
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
                "control": str(folders.run / "asterisk.ctl"),
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
            ("account_1", plan.auths[0], ACCOUNT_NUMBERS[0], "91"),
            ("account_2", plan.auths[1], ACCOUNT_NUMBERS[1], "1"),
        )
    ]
    template = {"id": plan.otp_template, "account": "account_1", "name": "code", "text": "Your code is {otp}"}
    sound = {
        "account": "account_1",
        "name": "instant",
        "extension": str(INSTANT_EXTENSION),
        "file": str(Path(__file__).parent / "sounds" / "instant.ogg"),
    }
    seed = {"accounts": accounts, "otp_templates": [template], "media": [sound], "rooms": [_ROOM]}
    write_private(plan.state.seed_json, json.dumps(seed, indent=1))


def remove_socket_folder(state: State, folder: Path) -> None:
    """Remove what ``_socket_folder`` made outside of the state folder."""
    if folder.is_relative_to(state.root):
        return
    with contextlib.suppress(OSError):
        for file in folder.iterdir():
            file.unlink()
        folder.rmdir()
