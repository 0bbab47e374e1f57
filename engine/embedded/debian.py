"""Debian packages without root: fetched by the host's own apt, checked by it, and unpacked into the cache folder.

A package set becomes one tree, ``<cache>/<set>-<architecture>-<digest>``, and is complete when it has that name: it is
unpacked beside it and renamed. Programs of a tree run through its own loader and libraries (``Tree.command``), so
that a tree from Debian sid works on an older host. Nothing here asks for root or changes the host.
"""

import fcntl
import hashlib
import os
import re
import shutil
import stat
import subprocess
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from engine.embedded import sources
from engine.embedded.environment import child_environment
from engine.embedded.process import die_with_parent
from engine.embedded.sources import Source
from engine.errors import TrunklineError

Progress = Callable[[str], None]

_FORMAT = "1"
"""Part of a tree's name; raised when trees of an older make can't be used any more."""

_ARCHITECTURES = {
    "amd64": ("x86_64-linux-gnu", "usr/lib64/ld-linux-x86-64.so.2"),
    "arm64": ("aarch64-linux-gnu", "usr/lib/ld-linux-aarch64.so.1"),
}
_UPDATE_SECONDS = 180.0
_FETCH_SECONDS = 900.0


class FetchFailed(TrunklineError):
    """Packages could not be fetched; the message says why and what to install instead."""


@dataclass(frozen=True)
class PackageSet:
    name: str
    packages: tuple[str, ...]
    suite: str = "sid"
    links: tuple[tuple[str, str], ...] = ()
    """Links that maintainer scripts would have made: (path in the tree, target)."""

    def folder(self, architecture: str) -> str:
        text = "\n".join((_FORMAT, self.suite, *sorted(self.packages), *map(str, self.links)))
        return f"{self.name}-{architecture}-{hashlib.sha256(text.encode()).hexdigest()[:12]}"


ASTERISK = PackageSet(
    "asterisk",
    ("asterisk", "asterisk-core-sounds-en-wav", "asterisk-moh-opsound-wav"),
    links=(("usr/share/asterisk/sounds/en", "en_US_f_Allison"),),
)
SIPP = PackageSet("sipp", ("sip-tester",))


@dataclass(frozen=True)
class Tree:
    """An unpacked package set."""

    root: Path
    architecture: str

    @property
    def library_path(self) -> str:
        triplet, _ = _ARCHITECTURES[self.architecture]
        base = self.root / "usr/lib" / triplet
        return ":".join(str(folder) for folder in (base, base / "asterisk", base / "pulseaudio", base / "blas"))

    def command(self, program: str) -> tuple[str, ...]:
        """Words that start ``program`` (``usr/sbin/asterisk``) of this tree on this host."""
        _, loader = _ARCHITECTURES[self.architecture]
        target = self.root / program
        return (str(self.root / loader), "--library-path", self.library_path, "--argv0", str(target), str(target))


def ensure(wanted: PackageSet, cache: Path, say: Progress) -> Tree:
    """The tree of ``wanted``, fetched when the cache has none; two callers at once fetch once.

    ``say`` gets lines of progress. Raises FetchFailed.
    """
    architecture = _architecture()
    root = cache / wanted.folder(architecture)
    if not root.exists():
        cache.mkdir(mode=0o755, parents=True, exist_ok=True)
        with _lock(cache / "fetch.lock", say):
            if not root.exists():
                _fetch(wanted, root, architecture, say)
    return Tree(root, architecture)


def cached(wanted: PackageSet, cache: Path) -> Tree | None:
    """The tree of ``wanted`` if it is there already."""
    architecture = _architecture()
    root = cache / wanted.folder(architecture)
    return Tree(root, architecture) if root.exists() else None


def _architecture() -> str:
    machine = os.uname().machine
    name = {"x86_64": "amd64", "aarch64": "arm64"}.get(machine)
    if name is None:
        raise FetchFailed(f"no packages are fetched for {machine}: install asterisk 20 or later and put it on PATH")
    return name


@contextmanager
def _lock(path: Path, say: Progress) -> Iterator[None]:
    with path.open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("another process is fetching packages; waiting for it")
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def _fetch(wanted: PackageSet, root: Path, architecture: str, say: Progress) -> None:
    missing = [tool for tool in ("apt-get", "dpkg-deb") if shutil.which(tool) is None]
    codename = sources.os_release().get("VERSION_CODENAME", "")
    ranked = sources.rank(sources.host_sources(), codename)
    if missing or not ranked:
        lack = f"{' and '.join(missing)} missing" if missing else "no Debian mirror among this host's apt sources"
        raise FetchFailed(f"can't fetch {wanted.name}: {lack}; install {' '.join(wanted.packages)} and try again")
    problems = []
    for source in ranked:
        try:
            _fetch_from(source, wanted, root, architecture, say)
        except FetchFailed as error:
            problems.append(str(error))
        else:
            return
    raise FetchFailed("; ".join(dict.fromkeys(problems)))


def _fetch_from(source: Source, wanted: PackageSet, root: Path, architecture: str, say: Progress) -> None:
    """Fetch with the host's keys; when they are too old to know the suite's, first renew the keyring with them."""
    apt = _Apt(root.parent / "apt", source, suite=wanted.suite, architecture=architecture, say=say)
    say(f"fetching {wanted.name} (Debian {wanted.suite}) from {source.uri}")
    try:
        apt.update()
    except FetchFailed:
        keyring = _newer_keyring(source, root.parent, architecture, say)
        apt = _Apt(root.parent / "apt", source, suite=wanted.suite, architecture=architecture, say=say, keyring=keyring)
        apt.update()
    _unpack(apt.download(wanted.packages), wanted, root, say)
    shutil.rmtree(apt.folder, ignore_errors=True)


def _newer_keyring(source: Source, cache: Path, architecture: str, say: Progress) -> Path:
    """The archive keyring of the host's own release, which the host's keys vouch for."""
    say("that suite can't be read with the keys of this host; trying the archive keyring of its own release")
    wanted = PackageSet("keyring", ("debian-archive-keyring",), suite=source.suite)
    root = cache / wanted.folder(architecture)
    apt = _Apt(cache / "apt-keyring", source, suite=source.suite, architecture=architecture, say=say)
    apt.update()
    _unpack(apt.download(wanted.packages), wanted, root, say)
    shutil.rmtree(apt.folder, ignore_errors=True)
    return root / "usr/share/keyrings/debian-archive-keyring.gpg"


def _unpack(archives: Sequence[Path], wanted: PackageSet, root: Path, say: Progress) -> None:
    partial = root.with_name(root.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir()
    for number, archive in enumerate(archives, 1):
        if number % 20 == 0 or number == len(archives):
            say(f"unpacking {wanted.name}: {number} of {len(archives)} packages")
        _run(["dpkg-deb", "--extract", str(archive), str(partial)], seconds=120)
    for link, target in wanted.links:
        path = partial / link
        if path.parent.exists() and not os.path.lexists(path) and (path.parent / target).exists():
            path.symlink_to(target)
    _drop_privileged_bits(partial)
    partial.rename(root)


def _drop_privileged_bits(root: Path) -> None:
    """Programs of a package that would run as their owner (``su``, ``passwd``) must not, in a cache nobody updates."""
    for folder, _, files in os.walk(root):
        for name in files:
            mode = os.lstat(path := os.path.join(folder, name)).st_mode  # noqa: PTH118 - 15,000 files
            if stat.S_ISREG(mode) and mode & (stat.S_ISUID | stat.S_ISGID):
                os.chmod(path, stat.S_IMODE(mode) & ~(stat.S_ISUID | stat.S_ISGID))  # noqa: PTH101


class _Apt:
    """apt-get as an ordinary user, with lists, cache, status and sources of its own under ``folder``."""

    def __init__(
        self, folder: Path, source: Source, *, suite: str, architecture: str, say: Progress, keyring: Path | None = None
    ) -> None:
        self.folder = folder
        self.say = say
        self.architecture = architecture
        self._shown = -1
        for part in ("lists/partial", "cache/archives/partial", "state", "empty"):
            (folder / part).mkdir(parents=True, exist_ok=True)
        (folder / "status").touch()
        signed_by = f"Signed-By: {keyring}\n" if keyring else _signed_by(source)
        stanza = f"Types: deb\nURIs: {source.uri}\nSuites: {suite}\nComponents: main\n{signed_by}"
        (folder / "trunkline.sources").write_text(stanza, encoding="utf-8")

    def update(self) -> None:
        self._apt("update", seconds=_UPDATE_SECONDS)

    def download(self, packages: Sequence[str]) -> list[Path]:
        """Download ``packages`` and all they depend on; partial files of an interrupted run are gone on with."""
        archives = self.folder / "cache/archives"
        self._apt("install", "--yes", "--download-only", *packages, seconds=_FETCH_SECONDS)
        return sorted(archives.glob("*.deb"))

    def _apt(self, verb: str, *words: str, seconds: float) -> None:
        command = ["apt-get", *self._options(), "-o", "APT::Status-Fd=1", "-qq", verb, *words]
        _run(command, seconds=seconds, line=self._progress)

    def _progress(self, line: str) -> None:
        """Lines of APT::Status-Fd: ``dlstatus:number:percent:Retrieving file 7 of 142 (12s remaining)``."""
        kind, _, rest = line.partition(":")
        if kind == "dlstatus" and (match := re.search(r":(\d+)(?:\.\d+)?:.*?(\d+) of (\d+)", rest)):
            percent = int(match[1])
            if percent // 10 != self._shown:
                self._shown = percent // 10
                self.say(f"downloading: {percent} % (file {match[2]} of {match[3]})")

    def _options(self) -> list[str]:
        folder = self.folder
        settings = {
            "Dir::Etc::sourcelist": folder / "trunkline.sources",
            "Dir::Etc::sourceparts": folder / "empty",
            "Dir::Etc::preferences": "/dev/null",
            "Dir::Etc::preferencesparts": folder / "empty",
            "Dir::State": folder / "state",
            "Dir::State::lists": folder / "lists",
            "Dir::State::status": folder / "status",
            "Dir::Cache": folder / "cache",
            "APT::Architecture": self.architecture,
            "APT::Default-Release": "",
            "APT::Install-Recommends": "false",
            "APT::Sandbox::User": "",
            "APT::Update::Error-Mode": "any",
            "APT::Get::List-Cleanup": "false",
            "Acquire::Languages": "none",
            "Acquire::Retries": "3",
            "Debug::NoLocking": "1",
        }
        return [word for key, value in settings.items() for word in ("-o", f"{key}={value}")]


def _signed_by(source: Source) -> str:
    if source.signed_by:
        return f"Signed-By: {source.signed_by}\n"
    host = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
    return f"Signed-By: {host}\n" if host.exists() else ""


def _run(command: Sequence[str], *, seconds: float, line: Callable[[str], None] | None = None) -> None:
    """Run a tool of apt, feed its lines to ``line``; raises FetchFailed with its own last words."""
    with subprocess.Popen(  # noqa: S603 - apt-get and dpkg-deb alone
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        env=child_environment({"LC_ALL": "C", "DEBIAN_FRONTEND": "noninteractive"}),
        preexec_fn=die_with_parent(),  # noqa: PLW1509 - one thread
    ) as tool:
        assert tool.stdout is not None
        deadline = threading.Timer(seconds, tool.kill)
        deadline.start()
        words: list[str] = []
        for text in tool.stdout:
            words = [*words[-20:], text.rstrip()]
            if line:
                line(text.rstrip())
        code = tool.wait()
        deadline.cancel()
    if code != 0:
        errors = [word for word in words if word.startswith(("E:", "W:", "dpkg-deb:"))] or words[-2:]
        if code < 0:
            errors = [f"ended after {seconds:.0f} s", *errors]
        raise FetchFailed(f"{Path(command[0]).name}: {' '.join(errors)[:600] or f'exit code {code}'}")
