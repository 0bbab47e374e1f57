"""Orders to a call: one after the other, each answered, whatever becomes of the call."""

import asyncio
from types import SimpleNamespace

import pytest

from engine.errors import Gone, LinkDown, StateConflict, Unavailable
from engine.sessions.inbox import Inbox, Order


class Desk:
    """As much of a session as an inbox needs."""

    def __init__(self, **controls):
        self.services = SimpleNamespace(controls=controls)
        self.call = SimpleNamespace(alive=True, request_id="57362de4f0")
        self.closing, self.stop_reason, self.background, self.task = False, None, self, object()
        self.door = None
        self.jobs = []

    def spawn(self, work, _name):
        self.jobs.append(asyncio.get_running_loop().create_task(work))
        return self.jobs[-1]


async def slow(_session, order):
    await asyncio.sleep(order.fields["seconds"])
    return {"order": order.leg}


async def test_orders_are_done_in_turn():
    done = []

    async def note(_session, order):
        await asyncio.sleep(0)
        done.append(order.leg)
        return {"order": order.leg}

    inbox, desk = Inbox(), Desk(note=note)
    orders = [Order("note", str(n)) for n in range(5)]
    for order in orders:
        inbox.put(desk, order)
    assert [(await order.outcome)["order"] for order in orders] == list("01234") == done
    assert len(desk.jobs) == 1


async def test_an_order_that_takes_too_long_is_given_up_and_the_next_one_is_done():
    inbox, desk = Inbox(), Desk(slow=slow)
    late, soon = Order("slow", "late", {"seconds": 60}, within=0.01), Order("slow", "soon", {"seconds": 0})
    inbox.put(desk, late)
    inbox.put(desk, soon)
    with pytest.raises(Unavailable):
        await late.outcome
    assert await soon.outcome == {"order": "soon"}


@pytest.mark.parametrize(
    ("error", "told"), [(Gone("x"), StateConflict), (LinkDown("x"), Unavailable), (KeyError("x"), Unavailable)]
)
async def test_what_fails_is_told_and_nothing_else_is(error, told):
    async def fails(_session, _order):
        raise error

    inbox, desk = Inbox(), Desk(fails=fails)
    order = Order("fails")
    inbox.put(desk, order)
    with pytest.raises(told):
        await order.outcome


async def test_the_job_cancelled_before_it_began_leaves_its_orders_for_the_next_flow():
    inbox, desk = Inbox(), Desk(slow=slow)
    order = Order("slow", "kept", {"seconds": 0})
    inbox.put(desk, order)
    desk.jobs[0].cancel()
    await asyncio.gather(*desk.jobs, return_exceptions=True)
    await asyncio.sleep(0)
    assert not order.outcome.done()
    inbox.begin(desk)
    assert await order.outcome == {"order": "kept"}


async def test_who_orders_again_as_soon_as_it_is_answered_is_answered():
    inbox, desk = Inbox(), Desk(slow=slow)
    for turn in range(3):
        order = Order("slow", str(turn), {"seconds": 0})
        inbox.put(desk, order)
        async with asyncio.timeout(60):
            assert await order.outcome == {"order": str(turn)}


async def test_no_order_outlives_its_call():
    inbox, desk = Inbox(), Desk(slow=slow)
    desk.background = None
    order = Order("slow", "", {"seconds": 0})
    inbox.put(desk, order)
    inbox.close()
    with pytest.raises(StateConflict):
        await order.outcome
    desk.closing = True
    with pytest.raises(StateConflict):
        inbox.put(desk, Order("slow"))
