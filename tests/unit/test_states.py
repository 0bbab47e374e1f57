import copy

import pytest

from engine.calls.events import Event, Kind
from engine.calls.states import CallState, IllegalMove, LegState, next_call_state, next_leg_state
from tests.unit.timelines import START, answered, at, call, dialing, ended, leg, over, ringing


def test_a_click_to_call_from_request_to_end():
    made = call(
        leg(1, "agent", 0), dialing(1, 0.1), ringing(1, 0.2), answered(1, 1),
        (Kind.CALL_STEP, 1, None, {"step": "destination"}),
        leg(2, "customer", 1), dialing(2, 1.1), answered(2, 3), (Kind.CALL_BRIDGED, 3, None, {"legs": [1, 2]}),
        ended(2, 10, q850=16, hangup_by="callee"), (Kind.CALL_UNBRIDGED, 10, None, {}), ended(1, 10.1), over(10.1),
    )  # fmt: skip
    assert made.state is CallState.ENDED
    assert made.step == "destination"
    assert made.answered_at == at(3)
    assert made.bridged_at == at(3)
    assert [each.state for each in made.legs.values()] == [LegState.ENDED, LegState.ENDED]


def test_a_call_is_answered_by_its_customer_and_not_by_its_agent():
    assert call(leg(1, "agent", 0), answered(1, 1)).answered_at is None


def test_an_illegal_move_changes_nothing():
    made = call(leg(1, "agent", 0), answered(1, 1), ended(1, 2))
    before = copy.deepcopy(made)
    with pytest.raises(IllegalMove):
        made.apply(Event(Kind.LEG_RINGING, at(3), 1, {}, 9))
    assert made == before


@pytest.mark.parametrize("state", list(CallState))
@pytest.mark.parametrize("kind", [kind for kind in Kind if kind.startswith("call.")])
def test_every_move_of_a_call_is_legal_or_refused_and_an_ended_one_stays_ended(state, kind):
    try:
        after = next_call_state(state, kind)
    except IllegalMove:
        return
    assert after in CallState
    if state is CallState.ENDED:
        assert after is CallState.ENDED


def test_no_leg_moves_backwards():
    order = [LegState.CREATED, LegState.DIALING, LegState.RINGING, LegState.UP]
    for state in order:
        for kind in (Kind.LEG_DIALING, Kind.LEG_RINGING, Kind.LEG_ANSWERED):
            try:
                after = next_leg_state(state, kind)
            except IllegalMove:
                continue
            assert order.index(after) > order.index(state)


def test_a_recording_may_become_ready_after_the_end():
    made = call(leg(1, "agent", 0), ended(1, 1), over(1))
    made.apply(Event(Kind.RECORDING_READY, START, None, {}, 99))
    assert made.seq == 99
