import os
import socket
import stat
from pathlib import Path

import pytest

from engine.embedded import asterisk, debian, environment, process, state
from engine.embedded.plan import merge, shared_auths
from engine.embedded.supervisor import pause
from engine.errors import ConfigError


def no_words(line: str) -> None:
    raise AssertionError(line)


def test_environment_defaults_lie_under_the_working_directory_and_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.chdir(tmp_path)
    found = environment.read({"HOME": "/home/kim"})
    assert found.state == tmp_path / "var"
    assert found.cache == Path("/home/kim/.cache/trunkline")
    assert (found.trunk, found.postgres, found.engine_id, found.hook_allow) == (None, None, None, ())


def test_environment_takes_what_is_named(tmp_path: Path):
    found = environment.read(
        {
            "TRUNKLINE_STATE": str(tmp_path / "a b"),
            "XDG_CACHE_HOME": "/c",
            "TRUNK": "10.0.0.1:5060",
            "TRUNKLINE_POSTGRES": "postgresql://x",
            "TRUNKLINE_ENGINE_ID": "e2",
            "TRUNKLINE_HOOK_ALLOW": "127.0.0.0/8, ::1/128",
            "TRUNKLINE_ASTERISK": "/opt/asterisk",
        }
    )
    assert found.state == tmp_path / "a b"
    assert found.cache == Path("/c/trunkline")
    assert found.trunk == "10.0.0.1:5060"
    assert found.hook_allow == ("127.0.0.0/8", "::1/128")
    assert found.asterisk == Path("/opt/asterisk")


@pytest.mark.parametrize("trunk", ["10.0.0.1", "host:port", "a b:1", "host:5060\nmatch=0.0.0.0/0"])
def test_a_trunk_that_is_not_host_and_port_is_refused(trunk: str):
    with pytest.raises(ConfigError, match="TRUNK"):
        environment.read({"TRUNK": trunk})


def test_a_relative_cache_home_is_ignored():
    assert environment.cache_folder({"XDG_CACHE_HOME": "cache", "HOME": "/h"}) == Path("/h/.cache/trunkline")


def test_children_do_not_inherit_switches_of_postgresql(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PGDATA", "/elsewhere")
    monkeypatch.setenv("KEPT", "1")
    found = environment.child_environment({"LC_ALL": "C"})
    assert "PGDATA" not in found
    assert (found["KEPT"], found["LC_ALL"]) == ("1", "C")


def test_secrets_and_ports_are_kept_and_private(tmp_path: Path):
    place = state.State(tmp_path)
    first = state.open_secrets(place, no_words)
    assert state.open_secrets(place, no_words) == first
    assert stat.S_IMODE(place.secrets_json.stat().st_mode) == 0o600
    assert set(first.softphones) == {str(number) for number in range(101, 111)}
    signalling = [port for name, port in vars(first.ports).items() if not name.endswith("rtp")]
    assert len(set(signalling)) == len(signalling)
    assert first.auth not in repr(first)


def test_two_folders_share_no_secret(tmp_path: Path):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    one, other = (state.open_secrets(state.State(tmp_path / name), no_words) for name in "ab")
    assert one.auth != other.auth
    assert one.engine_id != other.engine_id


def test_a_port_that_was_taken_meanwhile_is_exchanged_and_said(tmp_path: Path):
    place = state.State(tmp_path)
    first = state.open_secrets(place, no_words)
    said: list[str] = []
    with socket.socket() as other:
        other.bind(("127.0.0.1", first.ports.api))
        second = state.open_secrets(place, said.append)
    assert second.ports.api != first.ports.api
    assert second.ports.sip == first.ports.sip
    assert second.auth == first.auth
    assert str(first.ports.api) in said[0]


def test_damaged_secrets_are_named_and_not_overwritten(tmp_path: Path):
    place = state.State(tmp_path)
    place.secrets_json.write_text('{"auth": 1}')
    with pytest.raises(ConfigError, match=r"secrets\.json is damaged"):
        state.open_secrets(place, no_words)
    assert place.secrets_json.read_text() == '{"auth": 1}'


def test_a_folder_has_one_supervisor_at_a_time(tmp_path: Path):
    place = state.State(tmp_path)
    with place.lock(), pytest.raises(ConfigError, match=f"pid {os.getpid()}"):
        place.lock()
    place.lock().close()


def test_a_private_file_is_never_seen_half_written(tmp_path: Path):
    path = tmp_path / "stack.json"
    path.write_text("old")
    path.chmod(0o644)
    state.write_private(path, "new")
    assert path.read_text() == "new"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [path]


def test_a_pid_file_does_not_name_somebody_elses_process(tmp_path: Path):
    file = tmp_path / "x.pid"
    process.write_pid(file, os.getpid())
    found = process.read_pid(file)
    assert found is not None
    assert process.alive(found)
    assert not process.alive(process.Process(found.pid, found.began + 1))
    file.write_text("rubbish")
    assert process.read_pid(file) is None
    assert process.read_pid(tmp_path / "none") is None


def test_the_first_death_is_answered_in_time_and_repeated_ones_are_spaced():
    assert pause(0, 1) == 0
    assert pause(2.0, 1) == 2.0
    for first in (0.0, 2.0):
        for failures in range(2, 200):
            assert 0.15 < pause(first, failures) <= 10.0
    assert len({pause(0, 4) for _ in range(20)}) > 1


def test_own_settings_lie_over_generated_ones_one_level_deep():
    generated = {"http": {"host": "127.0.0.1", "port": 1}, "trunks": {"carrier": {"host": "a"}}, "ringback": "us"}
    own = {"http": {"port": 2}, "trunks": {"voip": {"host": "b"}}, "ringback": "de"}
    assert merge(generated, own) == {
        "http": {"host": "127.0.0.1", "port": 2},
        "trunks": {"carrier": {"host": "a"}, "voip": {"host": "b"}},
        "ringback": "de",
    }
    assert generated["http"] == {"host": "127.0.0.1", "port": 1}


def test_accounts_of_a_shared_database_are_not_to_be_guessed(tmp_path: Path):
    secrets = state.open_secrets(state.State(tmp_path), no_words)
    own = (secrets.auth, secrets.auth_2)
    assert shared_auths(secrets, "postgresql://u@h/d") == own
    assert shared_auths(secrets, "postgresql://u:short@h/d") == own
    long = "x" * 24
    derived = shared_auths(secrets, f"postgresql://u:{long}@h/d")
    assert derived == shared_auths(secrets, f"postgresql://v:{long}@otherhost:1/d")
    assert len({*derived, *own, long}) == 5


def test_a_package_set_has_a_tree_of_its_own_for_each_content():
    one = debian.PackageSet("x", ("a", "b"))
    assert one.folder("amd64") == debian.PackageSet("x", ("b", "a")).folder("amd64")
    others = {
        one.folder("arm64"),
        debian.PackageSet("x", ("a",)).folder("amd64"),
        debian.PackageSet("x", ("a", "b"), suite="trixie").folder("amd64"),
        debian.PackageSet("x", ("a", "b"), links=(("l", "t"),)).folder("amd64"),
    }
    assert len(others) == 4
    assert one.folder("amd64") not in others


def test_programs_of_a_tree_run_through_its_own_loader():
    words = debian.Tree(Path("/c/t"), "arm64").command("usr/bin/sipp")
    assert words[0] == "/c/t/usr/lib/ld-linux-aarch64.so.1"
    assert words[2].startswith("/c/t/usr/lib/aarch64-linux-gnu:")
    assert words[-1] == "/c/t/usr/bin/sipp"


def test_a_tree_that_is_there_is_not_fetched_again(tmp_path: Path):
    wanted = debian.PackageSet("x", ("no-such-package",))
    assert debian.cached(wanted, tmp_path) is None
    (tmp_path / wanted.folder({"x86_64": "amd64", "aarch64": "arm64"}[os.uname().machine])).mkdir()
    assert debian.ensure(wanted, tmp_path, no_words) == debian.cached(wanted, tmp_path)


@pytest.mark.parametrize(
    ("version", "below"),
    [
        ("22.10.1", False), ("22.10.0", True), ("22.9.3", True), ("20.20.1", False), ("20.20.0", True), ("23.0.0", False),
        ("21.12.2", True), ("18.26.4", True), ("22.11.0", False), ("", True),
    ],
)  # fmt: skip
def test_releases_with_known_holes(version: str, *, below: bool):
    assert asterisk.below_floor(asterisk.parse_version(version)) is below


def fake_asterisk(folder: Path, answer: str) -> Path:
    program = folder / "sbin" / "asterisk"
    (folder / "lib/asterisk/modules").mkdir(parents=True)
    (folder / "share/asterisk/sounds/en").mkdir(parents=True)
    (folder / "lib/asterisk/modules/res_ari.so").touch()
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\necho '{answer}'\n")
    program.chmod(0o755)
    return program


def test_an_asterisk_on_path_is_taken_with_its_own_modules_and_sounds(tmp_path: Path):
    program = fake_asterisk(tmp_path, "Asterisk 22.5.1~dfsg+~cs6.15")
    found = asterisk.find(environment.read({"PATH": str(program.parent), "HOME": str(tmp_path)}), no_words)
    assert found.version == "22.5.1"
    assert found.command == (str(program),)
    assert found.modules == tmp_path / "lib/asterisk/modules"
    assert found.data == tmp_path / "share/asterisk"
    assert found.start(Path("/e"))[1:] == ("-f", "-C", "/e/asterisk.conf")


def test_an_old_asterisk_on_path_is_passed_over_and_a_named_one_refused(tmp_path: Path):
    program = fake_asterisk(tmp_path, "Asterisk 18.10.0")
    environs = {"PATH": str(program.parent), "HOME": str(tmp_path)}
    assert asterisk.on_path(environment.read(environs)) is None
    with pytest.raises(ConfigError, match="TRUNKLINE_ASTERISK"):
        asterisk.find(environment.read({**environs, "TRUNKLINE_ASTERISK": str(program)}), no_words)
