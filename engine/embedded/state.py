"""The state folder of a stack: its layout, its secrets and ports, and the lock that one supervisor holds.

``secrets.json`` (0600) is made at the first start and kept, so that a second start has the same ports, credentials
and engine id. Everything else in the folder is data or is written anew at each start.
"""

import errno
import fcntl
import json
import os
import random
import secrets
import socket
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import IO, Any

from engine.errors import ConfigError

SOFTPHONES = tuple(str(extension) for extension in range(101, 111))
_SIGNALLING = range(20000, 32000)
"""Below the kernel's ephemeral range (32768 on), so that no outgoing connection sits on a port of ours."""
_RTP_BLOCK = 4000
_LOCKED = (errno.EAGAIN, errno.EACCES)


@dataclass(frozen=True)
class Ports:
    """Loopback ports; ``rtp`` and ``carrier_rtp`` are first ports of blocks of 4000."""

    api: int
    postgres: int
    sip: int
    ari: int
    ami: int
    fastagi: int
    carrier: int
    carrier_inner: int
    rtp: int
    carrier_rtp: int

    def block(self, first: int) -> tuple[int, int]:
        return first, first + _RTP_BLOCK - 1


@dataclass(frozen=True)
class Secrets:
    """Generated once per state folder; never shown in a ``repr``."""

    engine_id: str
    auth: str
    auth_2: str
    postgres: str
    ari: str
    ami: str
    softphones: Mapping[str, str]
    ports: Ports

    def __repr__(self) -> str:
        return f"Secrets(engine_id={self.engine_id!r})"


@dataclass(frozen=True)
class State:
    """Paths under the state folder; all absolute."""

    root: Path

    @property
    def stack_json(self) -> Path:
        return self.root / "stack.json"

    @property
    def secrets_json(self) -> Path:
        return self.root / "secrets.json"

    @property
    def seed_json(self) -> Path:
        return self.root / "seed.json"

    @property
    def engine_yaml(self) -> Path:
        return self.root / "engine.yaml"

    @property
    def settings_yaml(self) -> Path:
        """A user's own settings; merged over the generated ones, key by key."""
        return self.root / "trunkline.yaml"

    @property
    def run(self) -> Path:
        return self.root / "run"

    @property
    def log(self) -> Path:
        return self.root / "log"

    @property
    def engine(self) -> Path:
        return self.root / "engine"

    @property
    def objects(self) -> Path:
        return self.root / "objects"

    @property
    def recordings(self) -> Path:
        return self.root / "recordings"

    @property
    def postgres(self) -> Path:
        return self.root / "postgres"

    @property
    def asterisk(self) -> Path:
        return self.root / "asterisk"

    @property
    def simulator(self) -> Path:
        """Folders of the second Asterisk."""
        return self.root / "simulator"

    @property
    def carrier(self) -> Path:
        """What each callee of the simulator heard and pressed."""
        return self.root / "carrier"

    def create(self) -> None:
        """Make the folders; the root keeps the mode it has, the rest is the owner's alone."""
        try:
            self.root.mkdir(mode=0o755, parents=True, exist_ok=True)
            for folder in (self.run, self.log, self.engine, self.objects, self.recordings, self.carrier):
                folder.mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            raise ConfigError(f"state folder {self.root}: {error.strerror or error}") from error

    def lock(self) -> IO[str]:
        """Hold the folder; the handle must be kept. Raises ConfigError when another supervisor has it."""
        handle = (self.root / "supervisor.lock").open("a+", encoding="ascii")
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            handle.seek(0)
            holder = handle.read().strip()
            handle.close()
            if error.errno not in _LOCKED:
                raise
            who = f" (pid {holder})" if holder else ""
            message = f"another supervisor{who} runs a stack in {self.root}; stop it, or name another folder"
            raise ConfigError(message) from None
        handle.seek(0)
        handle.truncate()
        handle.write(f"{os.getpid()}\n")
        handle.flush()
        return handle


def write_private(path: Path, text: str) -> None:
    """Write ``path`` with mode 0600 by rename, so that a reader never sees half of it."""
    partial = path.with_name(path.name + ".new")
    partial.unlink(missing_ok=True)
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as handle:
        handle.write(text)
        handle.flush()
        os.fsync(handle.fileno())
    partial.rename(path)


def open_secrets(state: State, say: Callable[[str], None]) -> Secrets:
    """The secrets and ports of this folder, made at the first start.

    A port that something else has taken since is exchanged for a free one, which ``say`` is told: a stack that runs
    on another port is worth more than one that does not start. Call it with no child of this stack running.
    """
    try:
        raw = json.loads(state.secrets_json.read_text(encoding="utf-8"))
        kept = Secrets(**{**raw, "ports": Ports(**raw["ports"])})
    except FileNotFoundError:
        kept = _generate()
    except (ValueError, TypeError, KeyError) as error:
        raise ConfigError(f"{state.secrets_json} is damaged ({error}); delete it to have new secrets made") from error
    current = _with_free_ports(kept, say)
    if current != kept or not state.secrets_json.exists():
        write_private(state.secrets_json, json.dumps(_plain(current), indent=1))
    return current


def _plain(value: Secrets) -> dict[str, Any]:
    return asdict(value)


def _generate() -> Secrets:
    chosen: set[int] = set()
    names = [field.name for field in fields(Ports) if not field.name.endswith("rtp")]
    rtp = 34000 + 10 * random.SystemRandom().randrange(400)
    return Secrets(
        engine_id=f"e{secrets.token_hex(3)}",
        auth=secrets.token_hex(16),
        auth_2=secrets.token_hex(16),
        postgres=secrets.token_urlsafe(18),
        ari=secrets.token_urlsafe(18),
        ami=secrets.token_urlsafe(18),
        softphones={extension: secrets.token_urlsafe(12) for extension in SOFTPHONES},
        ports=Ports(**{name: free_port(chosen) for name in names}, rtp=rtp, carrier_rtp=rtp + _RTP_BLOCK),
    )


def _with_free_ports(kept: Secrets, say: Callable[[str], None]) -> Secrets:
    ports = asdict(kept.ports)
    signalling = {name: port for name, port in ports.items() if not name.endswith("rtp")}
    for name, port in signalling.items():
        if not is_free(port):
            ports[name] = free_port(set(ports.values()))
            say(f"port {port} ({name}) is taken by another program; {ports[name]} instead")
    return replace(kept, ports=Ports(**ports))


def free_port(taken: set[int]) -> int:
    """A loopback port that is free for TCP and UDP; it is added to ``taken``."""
    for _ in range(200):
        port = random.SystemRandom().choice(_SIGNALLING)
        if port not in taken and is_free(port):
            taken.add(port)
            return port
    raise ConfigError(f"no free loopback port between {_SIGNALLING.start} and {_SIGNALLING.stop}")


def is_free(port: int) -> bool:
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        with socket.socket(socket.AF_INET, kind) as probe:
            if kind == socket.SOCK_STREAM:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                return False
    return True
