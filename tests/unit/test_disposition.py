"""CONTRACT §3, row by row."""

import pytest

from engine.calls import disposition
from engine.calls.record import records
from tests.unit.timelines import answered, at, call, dialing, ended, leg, over, ringing


def of(*customer: tuple):
    """A click-to-call whose agent answered, and what became of its customer."""
    return call(leg(1, "agent", 0, "919979270001"), dialing(1, 0.1), answered(1, 1),
                leg(2, "customer", 1, "918000680002"), *customer)  # fmt: skip


ROWS = [
    ([dialing(2, 1), ended(2, 2, sip_code=486, q850=17)], "BUSY", "BUSY", "busy"),
    ([dialing(2, 1), ended(2, 2, sip_code=600, q850=17)], "BUSY", "BUSY", "busy"),
    ([dialing(2, 1), ringing(2, 1.2), ended(2, 46, why="ring_timeout", q850=16)], "NOANSWER", "NO ANSWER", "no_answer"),
    ([dialing(2, 1), ringing(2, 1.2), ended(2, 46, sip_code=480, q850=19)], "NOANSWER", "NO ANSWER", "no_answer"),
    ([dialing(2, 1), ended(2, 2, sip_code=487, q850=127)], "NOANSWER", "NO ANSWER", "no_answer"),
    ([dialing(2, 1), ringing(2, 1.2), ended(2, 3, why="cancelled", q850=16)], "CANCEL", "NO ANSWER", "cancelled"),
    ([dialing(2, 1), ended(2, 2, sip_code=503, q850=34)], "CONGESTION", "FAILED", "failed"),
    ([dialing(2, 1), ended(2, 2, sip_code=404, q850=1)], "CHANUNAVAIL", "FAILED", "failed"),
    ([dialing(2, 1), ended(2, 2, sip_code=603, q850=21)], "CHANUNAVAIL", "FAILED", "rejected"),
    ([dialing(2, 1), ended(2, 33, why=None, q850=18)], "CHANUNAVAIL", "FAILED", "failed"),
    ([dialing(2, 1), ended(2, 31, why="ring_timeout", q850=16)], "CHANUNAVAIL", "FAILED", "failed"),
    ([ended(2, 2, why="unplaced")], "CHANUNAVAIL", "FAILED", "failed"),
    ([ended(2, 2, why="engine_restart")], "CANCEL", "FAILED", "engine_restart"),
    ([dialing(2, 1), answered(2, 3), ended(2, 9, hangup_by="callee")], "ANSWER", "ANSWERED", "completed"),
    ([dialing(2, 1), answered(2, 3), ended(2, 9, why="limit")], "ANSWER", "ANSWERED", "timeout"),
]


@pytest.mark.parametrize(("customer", "dial_status", "call_status", "end_reason"), ROWS)
def test_the_customers_fate_is_the_calls(customer, dial_status, call_status, end_reason):
    made = of(*customer)
    principal = made.principal()
    assert (disposition.of_call(made).dial_status, disposition.of_call(made).call_status) == (dial_status, call_status)
    assert disposition.end_reason(principal) == end_reason


def test_an_agent_who_was_busy_is_the_party_dialled_last():
    made = call(
        leg(1, "agent", 0, "919979270486"), dialing(1, 0.1), ended(1, 1, sip_code=486, q850=17), over(1, "busy")
    )
    (cdr,) = records(made)
    assert (cdr.dial_status, cdr.dialed_number, cdr.answered_at, cdr.billsec) == ("BUSY", "919979270486", None, 0.0)


def test_a_call_that_was_never_dialled():
    made = call(over(1, "gate"))
    (cdr,) = records(made)
    assert (cdr.dial_status, cdr.call_status, cdr.uniqueid) == ("CANCEL", "FAILED", "")


def test_do_not_dial():
    assert disposition.of_call(call(over(0, "dnd"))) is disposition.DND


def test_the_durations_of_an_answered_call():
    made = of(dialing(2, 1.5), answered(2, 3), ended(2, 10, hangup_by="callee"), ended(1, 10.25), over(10.25))
    (cdr,) = records(made)
    assert cdr.call_duration == pytest.approx(10.15), "from the first INVITE, the agent's"
    assert cdr.billsec == pytest.approx(7.25), "from the destination's answer"
    assert cdr.answered_at == at(3)
    assert cdr.call_date == cdr.ended_at == at(10.25)
    assert cdr.uniqueid == "tl-57362de4f0-1"
    assert cdr.agent_number == "919979270001"
    assert cdr.customer_number == cdr.dialed_number == "918000680002"
    assert cdr.destination_context == "click2call"
