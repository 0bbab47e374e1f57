"""Fetching packages from an archive of our own: signed, unsigned, signed by somebody else, interrupted, twice at once."""

import hashlib
import os
import shutil
import stat
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from engine.embedded import debian, sources
from engine.embedded.debian import FetchFailed, PackageSet
from engine.embedded.sources import Source

pytestmark = pytest.mark.skipif(
    not all(map(shutil.which, ("gpg", "apt-get", "dpkg-deb"))), reason="needs gpg, apt-get and dpkg-deb"
)

ARCHITECTURE = {"x86_64": "amd64", "aarch64": "arm64"}[os.uname().machine]
WANTED = PackageSet("hello", ("hello-trunkline",), suite="sid", links=(("usr/share/hello/en", "en_US"),))
CONTROL = """\
Package: {name}
Version: 1.0
Architecture: all
Maintainer: Nobody <nobody@example.net>
Depends: {depends}
Description: for a test
"""


class Archive:
    """A Debian archive in a folder, with the one suite sid."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.index = root / f"dists/sid/main/binary-{ARCHITECTURE}"
        self.index.mkdir(parents=True)
        (root / "pool").mkdir()
        entries = [self._package("libhello-trunkline", ""), self._package("hello-trunkline", "libhello-trunkline")]
        packages = "\n".join(entries)
        (self.index / "Packages").write_text(packages)
        digest = hashlib.sha256(packages.encode()).hexdigest()
        self.release = root / "dists/sid/Release"
        self.release.write_text(
            "Origin: Test\nSuite: sid\nCodename: sid\nDate: Sat, 01 Jan 2022 00:00:00 UTC\n"
            f"Architectures: {ARCHITECTURE}\nComponents: main\nSHA256:\n"
            f" {digest} {len(packages.encode())} main/binary-{ARCHITECTURE}/Packages\n"
        )

    def _package(self, name: str, depends: str) -> str:
        tree = self.root / "build" / name
        (tree / "DEBIAN").mkdir(parents=True)
        control = CONTROL.format(name=name, depends=depends).replace("Depends: \n", "")
        (tree / "DEBIAN/control").write_text(control)
        (tree / "usr/bin").mkdir(parents=True)
        (tree / "usr/bin" / name).write_text("#!/bin/sh\n")
        (tree / "usr/bin" / name).chmod(0o4755)
        (tree / "usr/share" / name.removesuffix("-trunkline") / "en_US").mkdir(parents=True)
        deb = self.root / "pool" / f"{name}_1.0_all.deb"
        subprocess.run(["dpkg-deb", "--root-owner-group", "-b", tree, deb], check=True, capture_output=True)
        raw = deb.read_bytes()
        digest = hashlib.sha256(raw).hexdigest()
        return f"{control}Filename: pool/{deb.name}\nSize: {len(raw)}\nSHA256: {digest}\n"

    def sign(self, key: "Key") -> None:
        key.gpg("--batch", "--yes", "--clearsign", "-o", str(self.release.with_name("InRelease")), str(self.release))

    def source(self, keyring: Path) -> Source:
        return Source(f"copy:{self.root}", "sid", ("main",), str(keyring))


class Key:
    """A signing key in a keyring of its own."""

    def __init__(self, home: Path) -> None:
        home.mkdir(mode=0o700)
        self.home = home
        self.keyring = home / "public.gpg"
        self.gpg("--batch", "--passphrase", "", "--quick-gen-key", "nobody@example.net", "ed25519", "sign", "never")
        self.gpg("--batch", "--yes", "-o", str(self.keyring), "--export", "nobody@example.net")

    def gpg(self, *words: str) -> None:
        command = ["gpg", "--homedir", str(self.home), "--quiet", *words]
        subprocess.run(command, check=True, capture_output=True, timeout=60)


@pytest.fixture
def short(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder whose path fits the socket of gpg's agent, which is ended afterwards."""
    folder = tmp_path_factory.mktemp("k")
    yield folder
    for home in folder.glob("key*"):
        subprocess.run(["gpgconf", "--homedir", home, "--kill", "all"], check=False, capture_output=True, timeout=30)


@pytest.fixture
def key(short: Path) -> Key:
    return Key(short / "key")


@pytest.fixture
def archive(tmp_path: Path, key: Key, monkeypatch: pytest.MonkeyPatch) -> Archive:
    made = Archive(tmp_path / "archive")
    made.sign(key)
    monkeypatch.setattr(sources, "host_sources", lambda: [made.source(key.keyring)])
    return made


def test_a_signed_archive_becomes_a_tree(archive: Archive, tmp_path: Path):
    said: list[str] = []
    tree = debian.ensure(WANTED, tmp_path / "cache", said.append)
    assert (tree.root / "usr/bin/libhello-trunkline").exists()
    program = tree.root / "usr/bin/hello-trunkline"
    assert stat.S_IMODE(program.stat().st_mode) == 0o755  # it was 4755 in the package
    assert (tree.root / "usr/share/hello/en").readlink() == Path("en_US")
    assert any(str(archive.root) in line for line in said)
    assert any("2 of 2 packages" in line for line in said)
    assert sorted(path.name for path in (tmp_path / "cache").iterdir()) == ["fetch.lock", tree.root.name]


def test_the_host_is_left_as_it_was(archive: Archive, tmp_path: Path):
    del archive
    status = Path("/var/lib/dpkg/status").stat().st_mtime_ns
    lists = sorted(Path("/var/lib/apt/lists").iterdir())
    debian.ensure(WANTED, tmp_path / "cache", print)
    assert Path("/var/lib/dpkg/status").stat().st_mtime_ns == status
    assert sorted(Path("/var/lib/apt/lists").iterdir()) == lists


def test_an_archive_that_is_not_signed_is_refused(archive: Archive, tmp_path: Path):
    archive.release.with_name("InRelease").unlink()
    with pytest.raises(FetchFailed, match="not signed"):
        debian.ensure(WANTED, tmp_path / "cache", print)
    assert debian.cached(WANTED, tmp_path / "cache") is None


def test_an_archive_signed_by_somebody_else_is_refused(archive: Archive, short: Path, tmp_path: Path):
    archive.sign(Key(short / "key2"))
    with pytest.raises(FetchFailed, match="NO_PUBKEY"):
        debian.ensure(WANTED, tmp_path / "cache", print)
    assert debian.cached(WANTED, tmp_path / "cache") is None


def test_a_package_that_was_changed_is_refused(archive: Archive, tmp_path: Path):
    deb = archive.root / "pool/hello-trunkline_1.0_all.deb"
    raw = bytearray(deb.read_bytes())
    raw[-1] ^= 1
    deb.write_bytes(raw)
    with pytest.raises(FetchFailed):
        debian.ensure(WANTED, tmp_path / "cache", print)
    assert debian.cached(WANTED, tmp_path / "cache") is None


def test_half_an_unpacking_is_not_taken_for_a_tree(archive: Archive, tmp_path: Path):
    del archive
    cache = tmp_path / "cache"
    half = cache / (WANTED.folder(ARCHITECTURE) + ".partial")
    (half / "usr").mkdir(parents=True)
    (half / "usr/rubbish").touch()
    assert debian.cached(WANTED, cache) is None
    tree = debian.ensure(WANTED, cache, print)
    assert not (tree.root / "usr/rubbish").exists()
    assert not half.exists()


def test_two_that_want_the_same_fetch_it_once(archive: Archive, tmp_path: Path):
    del archive
    said: list[str] = []
    with ThreadPoolExecutor(2) as pool:
        trees = list(pool.map(lambda _: debian.ensure(WANTED, tmp_path / "cache", said.append), range(2)))
    assert trees[0] == trees[1]
    assert sum("fetching hello" in line for line in said) == 1


def test_a_host_without_a_mirror_is_told_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sources, "host_sources", list)
    with pytest.raises(FetchFailed, match=r"no Debian mirror.*install hello-trunkline"):
        debian.ensure(WANTED, tmp_path / "cache", print)
