"""The supervisor with children of a line of shell."""

import asyncio
import os
import signal
from dataclasses import replace
from pathlib import Path

import pytest

from engine.embedded.process import look_up
from engine.embedded.supervisor import Child, ChildSpec, StartFailed


async def at_once() -> bool:
    return True


async def never() -> bool:
    return False


def spec(tmp_path: Path, script: str, **changed: object) -> ChildSpec:
    made = ChildSpec(name="child", command=("sh", "-c", script), log=tmp_path / "child.log", ready=at_once)
    return replace(made, **{"restart_after": 0.0, **changed})


def child(tmp_path: Path, script: str, **changed: object) -> Child:
    return Child(spec(tmp_path, script, **changed), tmp_path, lambda _: None)


async def test_a_child_that_never_answers_is_given_up_with_its_last_words(tmp_path: Path):
    made = child(tmp_path, "echo still thinking; exec sleep 60", ready=never, ready_within=3)
    with pytest.raises(StartFailed, match=r"did not answer within 3 s.*still thinking"):
        await made.start()
    await made.stop()
    assert os.listdir(tmp_path) == ["child.log"]  # noqa: PTH208


async def test_a_program_that_is_not_there_is_named(tmp_path: Path):
    made = child(tmp_path, "", command=("/no/such/program",))
    with pytest.raises(StartFailed, match=r"/no/such/program: No such file"):
        await made.start()
    await made.stop()


async def test_what_a_child_started_ends_with_it(tmp_path: Path):
    made = child(tmp_path, f"sleep 60 & echo $! >'{tmp_path}/grandchild'; wait", ready=lambda: exists(tmp_path))
    await made.start()
    grandchild = int((tmp_path / "grandchild").read_text())
    assert look_up(grandchild) is not None
    await made.stop()
    async with asyncio.timeout(60):
        while look_up(grandchild) is not None:
            await asyncio.sleep(0.01)


async def exists(folder: Path) -> bool:
    return (folder / "grandchild").exists() and (folder / "grandchild").read_text().endswith("\n")


async def test_a_child_that_ignores_its_stop_signal_is_killed_after_its_patience(tmp_path: Path):
    made = child(tmp_path, f"trap '' TERM; touch '{tmp_path}/deaf'; while :; do sleep 0.1; done", stop_within=0.2,
                 ready=lambda: deaf(tmp_path))  # fmt: skip
    await made.start()
    assert made.pid is not None
    await made.stop()
    assert look_up(made.pid) is None


async def deaf(folder: Path) -> bool:
    return (folder / "deaf").exists()


async def test_each_new_process_is_told_of_once_it_answers(tmp_path: Path):
    told: asyncio.Queue[int | None] = asyncio.Queue()
    made = Child(spec(tmp_path, "exec sleep 60"), tmp_path, lambda it: told.put_nowait(it.pid))
    await made.start()
    first = await told.get()
    assert first is not None
    os.kill(first, signal.SIGKILL)
    second = await asyncio.wait_for(told.get(), 60)
    assert second != first
    assert made.deaths == 1
    await made.stop()
