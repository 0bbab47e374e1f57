"""An Asterisk to run: named by the user, found on PATH, or fetched; and where its modules and sounds are."""

import os
import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from engine.embedded import debian
from engine.embedded.environment import Environment
from engine.errors import ConfigError

Progress = Callable[[str], None]
OLDEST = (20,)
SECURITY_FLOOR = {20: (20, 20, 1), 22: (22, 10, 1)}
"""The oldest release without known holes, of each branch that gets fixes. Branches above them are taken as newer."""

_VERSION = re.compile(r"Asterisk (?:certified[/-])?(\d+(?:\.\d+)*)")
_TRIPLETS = ("x86_64-linux-gnu", "aarch64-linux-gnu", "arm-linux-gnueabihf")


@dataclass(frozen=True)
class Asterisk:
    command: tuple[str, ...]
    """Words before Asterisk's own options."""
    version: str
    modules: Path
    data: Path
    """astdatadir: sounds, documentation, rest-api."""

    @property
    def release(self) -> tuple[int, ...]:
        return parse_version(self.version)

    def start(self, etc: Path) -> tuple[str, ...]:
        """Run in the foreground with the configuration under ``etc``."""
        return (*self.command, "-f", "-C", str(etc / "asterisk.conf"))

    def console(self, etc: Path, line: str) -> tuple[str, ...]:
        """Run one console command on the Asterisk that runs with ``etc``."""
        return (*self.command, "-C", str(etc / "asterisk.conf"), "-r", "-x", line)


def find(environment: Environment, say: Progress) -> Asterisk:
    """TRUNKLINE_ASTERISK, else an ``asterisk`` on PATH that is recent enough, else the fetched one.

    Raises ConfigError when the one that was named can't be used, FetchFailed when none can be fetched.
    """
    if environment.asterisk is not None:
        named = installed(environment.asterisk)
        if named is None or named.release < OLDEST:
            raise ConfigError(f"TRUNKLINE_ASTERISK={environment.asterisk}: no Asterisk {OLDEST[0]} or later there")
        return named
    return on_path(environment) or fetched(environment, say)


def on_path(environment: Environment) -> Asterisk | None:
    """The Asterisk on PATH (or in ``/usr/sbin``, which an ordinary user's PATH leaves out), if it is recent enough."""
    program = shutil.which("asterisk", path=f"{environment.path}{os.pathsep}/usr/sbin")
    found = installed(Path(program)) if program else None
    return found if found and found.release >= OLDEST and (found.data / "sounds" / "en").exists() else None


def installed(program: Path) -> Asterisk | None:
    """An Asterisk of the host, or None when it does not run or its modules are nowhere."""
    version = probe((str(program),))
    modules = next((folder for folder in _module_folders(program) if (folder / "res_ari.so").exists()), None)
    if version is None or modules is None:
        return None
    prefix = program.resolve().parent.parent
    data = (prefix / "share/asterisk", Path("/usr/share/asterisk"), Path("/var/lib/asterisk"))
    found = next((folder for folder in data if (folder / "sounds").exists()), data[-1])
    return Asterisk((str(program),), version, modules, found)


def _module_folders(program: Path) -> list[Path]:
    prefix = program.resolve().parent.parent
    bases = [prefix / "lib", prefix / "lib64", *(prefix / "lib" / triplet for triplet in _TRIPLETS)]
    return [base / "asterisk" / "modules" for base in dict.fromkeys((*bases, Path("/usr/lib"), Path("/usr/lib64")))]


def fetched(environment: Environment, say: Progress) -> Asterisk:
    """The Asterisk of the cache, fetched when it is not there yet. Raises FetchFailed."""
    tree = debian.ensure(debian.ASTERISK, environment.cache, say)
    command = tree.command("usr/sbin/asterisk")
    version = probe(command)
    if version is None:
        raise debian.FetchFailed(f"the fetched Asterisk does not run; delete {tree.root} to have it fetched again")
    modules = next((tree.root / "usr/lib").glob("*/asterisk/modules"))
    return Asterisk(command, version, modules, tree.root / "usr/share/asterisk")


def probe(command: tuple[str, ...]) -> str | None:
    """Version that the program says it has (``22.10.1``), or None when it says none within 10 s."""
    try:
        done = subprocess.run(  # noqa: S603 - the program that the user named or that was found
            [*command, "-V"], capture_output=True, text=True, timeout=10, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    match = _VERSION.search(done.stdout)
    return match[1] if match else None


def parse_version(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", text)[:3])


def below_floor(release: tuple[int, ...]) -> bool:
    """True for a release with known security holes."""
    if not release:
        return True
    if release[0] > max(SECURITY_FLOOR):
        return False
    return release[0] not in SECURITY_FLOOR or release < SECURITY_FLOOR[release[0]]
