"""The engine's side of systemd's unit: sd_notify(3)."""

import asyncio
import socket

import pytest

from engine.ops.systemd import Notifier


@pytest.fixture
def manager(tmp_path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(str(tmp_path / "notify"))
        sock.settimeout(60)
        yield sock


def test_it_says_that_it_is_ready(manager):
    Notifier(manager.getsockname()).send("READY=1")
    assert manager.recv(100) == b"READY=1"


async def test_it_gives_signs_of_life_until_it_is_ended(manager):
    living = asyncio.create_task(Notifier(manager.getsockname(), watchdog=0.01).live())
    try:
        for _ in range(3):
            assert await asyncio.to_thread(manager.recv, 100) == b"WATCHDOG=1"
    finally:
        living.cancel()
        await asyncio.gather(living, return_exceptions=True)


async def test_without_a_manager_nothing_is_said_and_nothing_waits(tmp_path):
    Notifier().send("READY=1")
    await asyncio.wait_for(Notifier().live(), 60)
    Notifier(str(tmp_path / "nobody")).send("READY=1")
