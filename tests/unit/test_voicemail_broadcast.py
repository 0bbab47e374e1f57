"""The flow without Asterisk: how often it dials, who is shown, what its records say."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from engine.calls import disposition
from engine.calls.record import records
from engine.flows import voicemail_broadcast as flow
from engine.sessions.session import Session
from engine.store.port import NewCall
from engine.telephony.fake import Callee, FakeSwitch, by_number
from engine.testkit.poll import eventually
from engine.verbs.dial import Dial, variables
from tests.contract.verb_desk import ACCOUNT, CALLER_ID, Desk
from tests.unit.timelines import answered, call, dialing, ended, leg, over, ringing

REQUEST = "00000000fe"
FLOW = "voicemail_broadcast"


async def placed(
    number: str, callee: Callable[[str], Callee | None] = by_number, **changes: Any
) -> tuple[Session, FakeSwitch, Desk]:
    desk = Desk(None)
    desk.build(lambda sink: FakeSwitch("asterisk", sink, callee=callee))
    desk.flows[FLOW] = flow.voicemail_broadcast
    switch = desk.switch
    assert isinstance(switch, FakeSwitch)
    await switch.start()

    async def settled() -> bool:
        return bool(desk.registry.settled)

    await eventually(settled, within=60, what="link")
    params = {
        "customer_number": number, "caller_id": CALLER_ID, "caller_name": "", "privacy": False, "recording": False,
        "wait_time": 5, "media": "sound:message", "media_seconds": 1.0, "detect": False, "fork": True, "pre_dtmf": "",
        "post_dtmf": "", "dtmf_duration": 100, **changes,
    }  # fmt: skip
    new = NewCall(REQUEST, "a", FLOW, "outbound", "e", datetime.now(UTC), params)
    session = await desk.registry.begin(new, ACCOUNT, switch)
    desk.registry.run(session)
    assert session.task is not None
    await session.task
    await switch.stop()
    return session, switch, desk


def dials(switch: FakeSwitch) -> int:
    return sum(method == "dial" for method, _ in switch.requests)


async def test_who_answers_at_once_is_called_once():
    session, switch, desk = await placed("15550001234")
    assert (session.call.result, session.call.end_reason) == (flow.LEFT, "completed")
    assert dials(switch) == 1
    assert len(desk.memory.cdr) == 1


async def test_a_phone_that_rings_is_called_twice_and_the_mailbox_has_it(monkeypatch):
    monkeypatch.setattr(flow, "RUNG_FOR", 0.02)
    made = iter([Callee(answers_after=None), Callee(answers_after=0.01)])
    session, switch, desk = await placed("15550001234", lambda _: next(made))
    first, second = session.call.legs.values()
    assert (first.answered_at, first.why) == (None, "elsewhere")
    assert session.call.answered_at == second.answered_at is not None
    assert dials(switch) == 2
    assert [row.dial_status for row in desk.memory.cdr] == ["CANCEL", "ANSWER"]
    assert [row.result for row in desk.memory.cdr] == [None, flow.LEFT]


@pytest.mark.parametrize(("number", "fork", "count"), [("15550000000", True, 2), ("15550000000", False, 1),
                                                       ("15550000486", True, 1), ("15550000408", True, 2)])  # fmt: skip
async def test_how_often_it_dials(monkeypatch, number, fork, count):
    monkeypatch.setattr(flow, "RUNG_FOR", 0.02)
    monkeypatch.setattr(flow, "UNHEARD_FOR", 0.02)
    session, switch, _ = await placed(number, fork=fork, wait_time=2.0)
    assert (session.call.result, dials(switch)) == (flow.NOT, count)


def test_who_is_shown():
    shown = Dial("customer", "1", CALLER_ID, 5, caller_name="Trunkline", private=True)
    assert variables(shown, 60) == {
        "TIMEOUT(absolute)": "60",
        "CONNECTEDLINE(name)": "Trunkline",
        "CONNECTEDLINE(pres)": "prohib",
    }


async def test_keys_go_out_before_and_after():
    _, switch, _ = await placed("15550001234", pre_dtmf="12", post_dtmf="9")
    order = [method for method, _ in switch.requests if method in {"send_dtmf", "play"}]
    assert order == ["send_dtmf", "play", "send_dtmf"]


def test_of_two_that_answered_the_one_that_was_kept_is_the_calls():
    pair = call(
        leg(1, "customer", 0), dialing(1, 0.1), ringing(1, 0.3), leg(2, "customer", 1.4), dialing(2, 1.5),
        answered(1, 2), answered(2, 2.1), ended(2, 2.5, why="elsewhere", hangup_by="engine"),
        ended(1, 12, why="flow", hangup_by="engine"), over(12), flow=FLOW,
    )  # fmt: skip
    assert pair.principal() is pair.legs[1]
    first, second = records(pair)
    assert (first.conversation, first.billsec, second.conversation) == (0, 10.0, 1)
    assert second.billsec == pytest.approx(0.4)
    assert disposition.of_call(pair) is disposition.ANSWER


def test_a_broadcast_that_was_never_dialled_has_one_record():
    (row,) = records(call(over(1, "engine_restart"), flow=FLOW))
    assert (row.dial_status, row.call_status, row.destination_context) == ("CANCEL", "FAILED", FLOW)
