"""The batteries as real processes: PostgreSQL, two Asterisks and a stand-in engine under a real supervisor."""

import asyncio
import json
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from engine.embedded import debian, environment
from engine.embedded.process import Process, alive, look_up

DRIVER = Path(__file__).with_name("embedded_driver.py")
CHECKOUT = Path(__file__).parents[2]


def wait_for(look: Callable[[], Any], seconds: float = 60) -> Any:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := look():
            return found
        time.sleep(0.02)
    raise AssertionError(f"not within {seconds} s")


class Running:
    """A supervisor started as a program of its own, and what it left in its state folder."""

    def __init__(self, state: Path, *, python: str = sys.executable, prefix: tuple[str, ...] = (), **env: str) -> None:
        self.state = state
        self.words = state.with_name(state.name + ".words")
        self.stack_json = state / "stack.json"
        with self.words.open("w") as words:
            self.process = subprocess.Popen(
                [*prefix, python, str(DRIVER), "stack"],
                stdout=words,
                stderr=words,
                cwd="/",
                env={**os.environ, "TRUNKLINE_STATE": str(state), "PYTHONPATH": str(CHECKOUT), **env},
            )

    def ready(self, *, other_than: dict[str, Any] | None = None) -> dict[str, Any]:
        """What stack.json says, once it is there (and says something else than ``other_than``)."""

        def look() -> dict[str, Any] | None:
            if self.process.poll() is not None:
                raise AssertionError(f"the supervisor ended: {self.words.read_text()}")
            found = read(self.stack_json)
            return found if found != other_than else None

        return wait_for(look)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(60)


def read(path: Path) -> dict[str, Any] | None:
    try:
        return json.loads(path.read_text())
    except FileNotFoundError:
        return None


def processes(about: dict[str, Any]) -> list[Process]:
    pids = [about["engine_pid"], *(pid for name, pid in about["pids"].items() if name != "supervisor")]
    found = [look_up(pid) for pid in pids]
    assert None not in found
    return [process for process in found if process is not None]


def command_lines(needle: str) -> list[int]:
    """Processes whose command line has ``needle``: nothing of a stack may be left, whoever its parent is."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if needle.encode() in entry.read_bytes():
                found.append(int(entry.parent.name))
        except OSError:
            continue
    return found


@contextmanager
def running(state: Path, **options: Any) -> Iterator[Running]:
    run = Running(state, **options)
    try:
        yield run
    finally:
        run.stop(signal.SIGKILL if run.process.poll() is None and not run.stack_json.exists() else signal.SIGTERM)
        wait_for(lambda: not command_lines(str(state)))


@pytest.fixture
def made() -> Iterator[Path]:
    """A state folder to be: its path has spaces and is too long for a Unix socket.

    Not under ``tmp_path``: each start of pytest, another user's of this machine too, takes back the ``o+x`` that
    PostgreSQL's user needs on the parent of those.
    """
    folder = Path(tempfile.mkdtemp(prefix="trunkline test "))
    parent = folder / "a folder with spaces and a name that is longer than that of any Unix socket of them all"
    parent.mkdir(mode=0o700)
    yield parent / "var"
    shutil.rmtree(folder)


def connected(address: str) -> bool:
    host, _, port = address.rpartition(":")
    with socket.socket() as probe:
        probe.settimeout(60)
        return probe.connect_ex((host, int(port))) == 0


def test_a_stack_says_where_everything_is_and_leaves_nothing(made: Path):
    with running(made) as run:
        about = run.ready()
        assert set(about["pids"]) == {"supervisor", "asterisk", "postgres", "carrier"}
        assert about["pids"]["supervisor"] == run.process.pid
        assert (about["account"], about["account_2"]["account"]) == ("account_1", "account_2")
        assert [phone["extension"] for phone in about["softphones"]] == [str(n) for n in range(101, 111)]
        assert about["asterisk"]["version"].count(".") >= 1
        assert connected(about["asterisk"]["ami"])
        assert connected(about["asterisk"]["ari"].removeprefix("http://").removesuffix("/ari"))
        assert connected(about["api"].removeprefix("http://"))
        assert Path(about["asterisk"]["cel"]).is_absolute()
        for private in ("stack.json", "secrets.json", "seed.json", "engine.yaml"):
            assert stat.S_IMODE((made / private).stat().st_mode) == 0o600
        written = [path for path in (made / "asterisk" / "log").rglob("*") if path.is_file()]
        assert written, "Asterisk has a log"
        assert not [path for path in written if path.stat().st_mode & 0o077]
        seed = json.loads((made / "seed.json").read_text())
        assert [(item["account"], item["auth"]) for item in seed["accounts"]] == [
            ("account_1", about["auth"]),
            ("account_2", about["account_2"]["auth"]),
        ]
        children = processes(about)
        assert all(os.getpgid(child.pid) == child.pid for child in children)
        assert run.stop() == 0
        assert not any(alive(child) for child in children)
        assert not run.stack_json.exists()
        assert not list((made / "run").glob("*.pid"))
        assert not command_lines(str(made))


def ask(dsn: str, *queries: str) -> list[Any]:
    """The first value of each query."""

    async def answers() -> list[Any]:
        connection = await asyncpg.connect(dsn, timeout=60)
        try:
            return [await connection.fetchval(query) for query in queries]
        finally:
            await connection.close()

    return asyncio.run(answers())


def test_postgresql_takes_the_password_alone(made: Path):
    with running(made) as run:
        dsn = run.ready()["postgres"]
        assert ask(dsn, "SHOW fsync", "SHOW synchronous_commit") == ["on", "on"]
        scheme, _, rest = dsn.partition("://")
        user, _, address = rest.rpartition("@")
        with pytest.raises(asyncpg.InvalidPasswordError):
            ask(f"{scheme}://{user.partition(':')[0]}:guess@{address}", "SELECT 1")


def test_a_second_start_has_the_same_ports_secrets_and_data(made: Path):
    with running(made) as run:
        first = run.ready()
        ask(first["postgres"], "CREATE TABLE kept AS SELECT 42 AS answer")
    with running(made) as run:
        second = run.ready()
        assert ask(second["postgres"], "SELECT answer FROM kept") == [42]
    for changing in ("pids", "engine_pid"):
        assert first.pop(changing) != second.pop(changing)
    assert first == second


@pytest.mark.parametrize("name", ["engine", "carrier", "asterisk", "postgres"])
def test_a_child_that_is_killed_comes_back(made: Path, name: str):
    with running(made) as run:
        before = {**(about := run.ready())["pids"], "engine": about["engine_pid"]}
        os.kill(before[name], signal.SIGKILL)
        about = run.ready(other_than=about)
        after = {**about["pids"], "engine": about["engine_pid"]}
        assert look_up(after[name]) is not None
        assert [key for key in before if after[key] != before[key]] == [name]


def test_a_child_that_is_killed_again_and_again_comes_back(made: Path):
    with running(made) as run:
        about = run.ready()
        for _ in range(3):
            os.kill(about["engine_pid"], signal.SIGKILL)
            about = run.ready(other_than=about)


def test_children_die_with_a_killed_supervisor_and_the_next_start_works(made: Path):
    with running(made) as run:
        about = run.ready()
        children = processes(about)
        run.process.kill()
        run.process.wait()
        wait_for(lambda: not any(alive(child) for child in children))
        assert run.stack_json.exists()
    with running(made) as run:
        again = run.ready(other_than=about)
        assert again["api"] == about["api"]


def test_what_a_killed_supervisor_left_is_cleared_by_its_pid_file(made: Path):
    (made / "run").mkdir(parents=True)
    with subprocess.Popen(["sleep", "600"], process_group=0) as left, subprocess.Popen(["sleep", "600"]) as other:
        began = look_up(left.pid)
        stranger = look_up(other.pid)
        assert began is not None
        assert stranger is not None
        (made / "run" / "asterisk.pid").write_text(f"{began.pid} {began.began}\n")
        (made / "run" / "carrier.pid").write_text(f"{stranger.pid} {stranger.began - 1}\n")
        try:
            with running(made) as run:
                run.ready()
                assert left.wait(60) == -signal.SIGKILL
                assert other.poll() is None
                assert "left behind" in run.words.read_text()
        finally:
            left.kill()
            other.kill()


def test_two_supervisors_on_one_folder_are_one_too_many(made: Path):
    with running(made) as run:
        about = run.ready()
        second = Running(made, STAND_IN="")
        assert second.process.wait(60) == 1
        words = second.words.read_text()
        assert f"pid {run.process.pid}" in words
        assert str(made) in words
        assert read(run.stack_json) == about
        assert all(alive(child) for child in processes(about))


def test_a_child_that_will_not_start_is_named_with_its_last_words(made: Path):
    with running(made, STAND_IN="exits") as run:
        assert run.process.wait(60) == 1
        words = run.words.read_text()
        assert "engine ended with exit code 3" in words
        assert "the stand-in does not want to" in words
        assert not run.stack_json.exists()
        assert not command_lines(str(made))


def test_a_second_signal_ends_a_draining_engine_at_once(made: Path):
    with running(made, STAND_IN="lingers") as run:
        run.ready()
        run.process.send_signal(signal.SIGTERM)
        wait_for((made / "draining").exists)
        assert not run.stack_json.exists()
        assert run.process.poll() is None
        assert run.stop(signal.SIGINT) == 0
        assert (made / "hastened").exists(), "told a second time, and not killed when the patience with it was over"


def test_a_trunk_and_a_database_of_ones_own_replace_ours(made: Path):
    dsn = "postgresql://u:p@127.0.0.1:1/d"
    networks = "127.0.0.0/8,::1/128"
    with running(made, TRUNK="127.0.0.1:5999", TRUNKLINE_POSTGRES=dsn, TRUNKLINE_HOOK_ALLOW=networks) as run:
        about = run.ready()
        assert set(about["pids"]) == {"supervisor", "asterisk"}
        assert about["carrier"] == "127.0.0.1:5999"
        assert about["postgres"] == dsn
        settings = (made / "engine.yaml").read_text()
        assert "127.0.0.1:5999" in settings
        assert "::1/128" in settings
        assert "5999" in (made / "asterisk/etc/pjsip_trunks.conf").read_text()


def test_two_stacks_on_one_database_have_the_same_accounts(made: Path):
    with running(made) as run:
        first = run.ready()
        with running(made.with_name("second"), TRUNKLINE_POSTGRES=first["postgres"]) as other:
            second = other.ready()
            assert (second["auth"], second["account_2"]) == (first["auth"], first["account_2"])
            assert second["asterisk"]["ari_password"] != first["asterisk"]["ari_password"]
            ids = [(folder / "engine.yaml").read_text().splitlines()[0] for folder in (made, other.state)]
            assert ids[0].startswith("engine_id: ")
            assert ids[0] != ids[1]


def test_own_settings_reach_engine_and_asterisk(made: Path):
    made.mkdir()
    (made / "trunkline.yaml").write_text("trunks: {voip: {host: sip.example.net, user: me, secret: s3cret}}\n")
    with running(made, TRUNKLINE_ENGINE_ID="e7") as run:
        run.ready()
        settings = (made / "engine.yaml").read_text()
        assert "voip" in settings
        assert "carrier" in settings
        assert "sip.example.net" in (made / "asterisk/etc/pjsip_trunks.conf").read_text()
        assert "trunkline-e7" in "".join(file.read_text() for file in (made / "asterisk/etc").glob("*.conf"))


def test_wrong_settings_are_named(made: Path):
    made.mkdir()
    (made / "trunkline.yaml").write_text("ringbak: us\n")
    run = Running(made)
    assert run.process.wait(60) == 1
    assert "ringbak" in run.words.read_text()


@pytest.fixture
def of_nobody() -> Iterator[Path]:
    """A folder of an ordinary user, with the fetched Asterisk within that user's reach."""
    folder = Path(tempfile.mkdtemp(prefix="trunkline test "))
    folder.chmod(0o755)
    tree = debian.ensure(debian.ASTERISK, environment.cache_folder(), print).root
    copy = folder / "cache" / "trunkline" / tree.name
    copy.parent.mkdir(parents=True)
    subprocess.run(["cp", "-al", tree, copy], check=False, stderr=subprocess.DEVNULL)
    home = folder / "home"
    home.mkdir()
    os.chown(home, 65534, 65534)
    yield folder
    shutil.rmtree(folder)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become somebody else")
def test_an_ordinary_user_runs_the_same(of_nobody: Path):
    become = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--")
    library = str(Path(asyncpg.__file__).parents[1])
    env = {"PYTHONPATH": f"{CHECKOUT}:{library}", "HOME": str(of_nobody), "XDG_CACHE_HOME": str(of_nobody / "cache")}
    candidates = (sys.executable, f"/usr/bin/python3.{sys.version_info.minor}")
    trial = (
        'import subprocess, sys, asyncpg, jinja2, pydantic, engine; subprocess.run([sys.executable, "-V"], check=True)'
    )
    pythons = [
        python
        for python in candidates
        if subprocess.run([*become, python, "-c", trial], env=env, cwd="/", capture_output=True, check=False).returncode
        == 0
    ]
    if not pythons:
        pytest.skip("no Python of this release within an ordinary user's reach")
    with running(of_nobody / "home" / "var", python=pythons[0], prefix=become, **env) as run:
        about = run.ready()
        owners = {Path(f"/proc/{child.pid}").stat().st_uid for child in processes(about)}
        assert owners == {65534}
        assert run.stop() == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="an ordinary user's PostgreSQL runs as that user")
def test_root_gives_postgresql_another_user_and_opens_paths_no_wider_than_needed(made: Path):
    made.mkdir(mode=0o700)
    with running(made) as run:
        about = run.ready()
        assert Path(f"/proc/{about['pids']['postgres']}").stat().st_uid != 0
        assert stat.S_IMODE(made.stat().st_mode) == 0o701
        assert stat.S_IMODE((made / "postgres").stat().st_mode) == 0o700
        assert ask(about["postgres"], "SELECT 1") == [1]
