"""What the fake offers beyond the port: what a test makes happen."""

import pytest

from engine.errors import LinkDown, RequestTimedOut
from engine.telephony.events import (
    ChannelEntered,
    ChannelGone,
    ChannelUp,
    DtmfReceived,
    HoldChanged,
    LinkLost,
    LinkRestored,
)
from engine.telephony.fake import BUSY, RINGS, Callee, FakeSwitch, by_number
from tests.contract.switches import Heard


@pytest.fixture
async def heard() -> Heard:
    return Heard()


@pytest.fixture
async def fake(heard: Heard) -> FakeSwitch:
    switch = FakeSwitch("a", heard)
    await switch.start()
    return switch


@pytest.mark.parametrize(
    ("number", "callee"),
    [
        ("919979270486", BUSY),
        ("919979270000", RINGS),
        ("919979272005", Callee(answers_after=5.0)),
        ("919979273007", Callee(hangup_after=7.0)),
        ("919979271111", Callee()),
    ],
)
def test_callees_of_the_contract(number: str, callee: Callee) -> None:
    assert by_number(f"PJSIP/{number}@carrier") == callee


async def test_link_that_breaks_tells_nothing_of_the_gap(fake: FakeSwitch, heard: Heard) -> None:
    await fake.create_channel("tl-1", "PJSIP/15550001111@t", caller_id="")
    await heard.wait(ChannelEntered, "tl-1")
    fake.cut()
    assert heard.of(LinkLost)
    with pytest.raises(LinkDown):
        await fake.hangup("tl-1")
    fake.party_hangs_up("tl-1")
    fake.restore()
    assert len(heard.of(LinkRestored)) == 2
    assert not heard.of(ChannelGone)
    assert await fake.channels() == []


async def test_call_that_comes_in(fake: FakeSwitch, heard: Heard) -> None:
    fake.incoming("in-1", "15551234567", "15557000001", ["flow", "inbound"])
    entered = await heard.wait(ChannelEntered, "in-1")
    assert (entered.channel.caller, entered.channel.state, entered.args) == ("15551234567", "Ring", ("flow", "inbound"))
    await fake.answer("in-1")
    await heard.wait(ChannelUp, "in-1")
    fake.party_presses("in-1", "1#")
    assert [event.digit for event in heard.of(DtmfReceived)] == ["1", "#"]
    fake.party_holds("in-1", held=True)
    assert heard.of(HoldChanged)[0].held
    await fake.leave("in-1", "amd")
    fake.comes_back("in-1", ["flow", "amd", "HUMAN"])
    assert len(heard.of(ChannelEntered, "in-1")) == 2


async def test_failure_on_order_happens_once(fake: FakeSwitch) -> None:
    fake.failures["create_bridge"] = RequestTimedOut("x")
    with pytest.raises(RequestTimedOut):
        await fake.create_bridge("b")
    await fake.create_bridge("b")
    assert [name for name, _ in fake.requests] == ["create_bridge", "create_bridge"]


async def test_variables_are_kept(fake: FakeSwitch, heard: Heard) -> None:
    await fake.create_channel("tl-1", "PJSIP/15550001111@t", caller_id="123", variables={"A": "b"})
    assert fake.variable("tl-1", "A") == "b"
    assert fake.variable("tl-1", "CONNECTEDLINE(all,i)") == '"123" <123>'
    await heard.wait(ChannelEntered, "tl-1")
    await fake.stop()
