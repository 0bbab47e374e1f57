"""Asterisk's CEL file as a real Asterisk writes it agrees with what ARI told, leg by leg."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from engine.telephony.ari.switch import AriSwitch
from engine.telephony.cel import CelFile, ChannelHistory
from engine.telephony.events import ChannelEntered, ChannelGone, ChannelUp, LinkRestored
from engine.testkit.asterisks import TRUNK, Asterisks, asterisks
from tests.contract.switches import Heard, Line

APP = "trunkline-cel"
CLOSE = timedelta(seconds=10)


@pytest.fixture(scope="module")
async def pair() -> AsyncIterator[Asterisks]:
    async with asterisks(APP) as both:
        yield both


@pytest.fixture
async def line(pair: Asterisks) -> AsyncIterator[Line]:
    heard = Heard()
    switch = AriSwitch(pair.server, APP, heard)
    await switch.start()
    await heard.wait(LinkRestored)
    yield Line(switch, heard, TRUNK, real=True)
    await switch.stop()


async def history(cel: CelFile, channel_id: str) -> ChannelHistory:
    """Once its end is written."""
    async with asyncio.timeout(60):
        while True:
            found = await asyncio.to_thread(cel.lookup, {channel_id})
            if channel_id in found and found[channel_id].cause is not None:
                return found[channel_id]
            await asyncio.sleep(0.02)


async def test_legs_agree(pair: Asterisks, line: Line, tmp_path: Path) -> None:
    assert pair.server.cel is not None
    cel = CelFile(pair.server.cel, tmp_path / "bookmark.json")
    await asyncio.gather(
        line.dial("tl-a1", "15550001111"),
        line.dial("tl-a2", "15550003001"),
        line.dial("tl-a3", "15550000486"),
        line.dial("tl-a4", "15550000000", timeout=3),
    )
    await line.heard.wait(ChannelUp, "tl-a1")
    await line.heard.wait(ChannelGone, "tl-a2")
    await line.switch.hangup("tl-a1")
    for n, (cause, by_party) in enumerate([(16, False), (16, True), (17, True), (19, False)], 1):
        channel_id = f"tl-a{n}"
        gone = await line.heard.wait(ChannelGone, channel_id)
        told = await history(cel, channel_id)
        assert (told.cause, told.ended_by_party) == (cause, by_party), channel_id
        assert told.created_at is not None
        assert abs(told.created_at - line.heard.of(ChannelEntered, channel_id)[0].at) < CLOSE
        assert told.ended_at is not None
        assert abs(told.ended_at - gone.at) < CLOSE
        answered = line.heard.of(ChannelUp, channel_id)
        assert (told.answered_at is None) == (not answered)
        if told.answered_at is not None:
            assert abs(told.answered_at - answered[0].at) < CLOSE
    cel.remember(cel.offset())
    assert cel.lookup({"tl-a1", "tl-a2"}) == {}
