"""A call that was transferred, as a timeline and as CDRs."""

from engine.calls.events import Kind
from engine.calls.record import records
from tests.unit.timelines import answered, at, call, dialing, ended, leg, over

BASE = (
    leg(1, "agent", 0, "101"), dialing(1, 0.1), answered(1, 1),
    leg(2, "customer", 1, "918000680002"), dialing(2, 1.1), answered(2, 3),
    (Kind.CALL_BRIDGED, 3, None, {"bridge": "b1", "legs": [1, 2]}),
)  # fmt: skip


def target(n, seconds, conversation, other, number="102"):
    kind, when, _, data = leg(n, "target", seconds, number)
    return (kind, when, n, {**data, "attempt": conversation, "conversation": conversation, "other": other})


def transferring(seconds, how, transferer, transferee, conversation):
    return (Kind.CALL_TRANSFERRING, seconds, None,
            {"how": how, "transferer": transferer, "transferee": transferee, "conversation": conversation,
             "attempt": conversation, "to": "102", "caller_id": "1", "bridge": "b1"})  # fmt: skip


def transferred(seconds, conversation, *legs):
    return (Kind.CALL_TRANSFERRED, seconds, None, {"conversation": conversation, "legs": list(legs), "bridge": "b1"})


def failed(seconds):
    return (Kind.CALL_TRANSFER_FAILED, seconds, None, {"reason": "busy"})


def test_a_blind_transfer_ends_one_conversation_and_begins_another():
    made = call(*BASE, target(3, 10, 1, 2), transferring(10, "blind", 1, 2, 1), ended(1, 10.1, why="transfer"),
                dialing(3, 10.2), answered(3, 12), transferred(12, 1, 2, 3),
                ended(2, 20, hangup_by="callee"), ended(3, 20.1, why="peer"), over(20.1))  # fmt: skip
    first, second = records(made)
    assert (first.ended_at, first.billsec, first.dial_status) == (at(10), 7.0, "ANSWER")
    assert (second.started_at, second.answered_at, second.ended_at) == (at(10.2), at(12), at(20.1))
    assert (second.agent_number, second.customer_number, second.dialed_number) == ("102", "918000680002", "102")
    assert second.uniqueid == "tl-57362de4f0-3"
    assert made.answered_at == at(3)
    assert made.parties == (2, 3)


def test_a_failed_consultation_is_a_try_of_its_own_and_the_first_conversation_goes_on():
    made = call(*BASE, target(3, 10, 1, 2), transferring(10, "attended", 1, 2, 1), dialing(3, 10.2),
                ended(3, 11, sip_code=486, q850=17), failed(11), ended(1, 20, hangup_by="callee"),
                ended(2, 20.1, why="peer"), over(20.1))  # fmt: skip
    first, second = records(made)
    assert (first.ended_at, first.end_reason) == (at(20.1), "completed")
    assert (second.dial_status, second.billsec, second.ended_at) == ("BUSY", 0.0, at(11))
    assert made.transfer is None


def test_a_completed_consultation_is_one_conversation_from_the_targets_answer_on():
    made = call(*BASE, target(3, 10, 1, 2), transferring(10, "attended", 1, 2, 1), dialing(3, 10.2), answered(3, 12),
                transferred(15, 1, 2, 3), ended(1, 15.1, why="transfer"), ended(3, 30, hangup_by="callee"),
                ended(2, 30.1, why="peer"), over(30.1))  # fmt: skip
    first, second = records(made)
    assert first.ended_at == at(15)
    assert (second.answered_at, second.ended_at) == (at(12), at(30.1))


def test_three_conversations_in_a_row():
    made = call(*BASE, target(3, 10, 1, 2), transferring(10, "blind", 1, 2, 1), dialing(3, 10), answered(3, 11),
                transferred(11, 1, 2, 3), ended(1, 11, why="transfer"), target(4, 20, 2, 2, "103"),
                transferring(20, "blind", 3, 2, 2), ended(3, 20.1, why="transfer"), dialing(4, 20.2), answered(4, 21),
                transferred(21, 2, 2, 4), ended(2, 30, hangup_by="callee"), ended(4, 30.1), over(30.1))  # fmt: skip
    assert [(row.conversation, row.dialed_number, row.ended_at) for row in records(made)] == [
        (0, "918000680002", at(10)), (1, "102", at(20)), (2, "103", at(30.1)),
    ]  # fmt: skip


def test_a_recording_belongs_to_the_conversation_in_which_it_began():
    started = (Kind.RECORDING_STARTED, 13, None, {"recording_name": "57362de4f0.wav", "option": "both", "sides": {}})
    made = call(*BASE, target(3, 10, 1, 2), transferring(10, "blind", 1, 2, 1), dialing(3, 10), answered(3, 12),
                transferred(12, 1, 2, 3), started, ended(2, 20), ended(3, 20.1), over(20.1))  # fmt: skip
    assert [row.recording_name for row in records(made)] == ["", "57362de4f0.wav"]


def test_a_parked_party_ends_the_conversation():
    parked = (Kind.CALL_PARKED, 10, None, {"slot": "7", "party": 2, "bridge": "b1"})
    made = call(*BASE, parked, ended(1, 10.1, why="transfer"), ended(2, 60, hangup_by="callee"), over(60))
    (only,) = records(made)
    assert only.ended_at == at(10)
    assert made.slot == "7"
