"""Idempotency's corners, the rate limiter's arithmetic, the gate's order."""

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest

from engine.api.limits import RateLimiter
from engine.calls.account import Identity
from engine.commands import calls, idempotency
from engine.commands.click_to_call import ClickToCall, execute
from engine.commands.idempotency import ORPHAN_AFTER, Key, fingerprint, remembered
from engine.errors import Forbidden, InvalidFields, NotFound, StateConflict, TooMany, Unavailable
from engine.store.port import CallEvent
from tests.unit.api_fakes import World, account

COMMAND = ClickToCall("9979270001", "918000680002", "+15168148111")
KEY = Key("order 1", "f" * 64)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


async def run(world, command=COMMAND, key=None, **limits):
    return await execute(world.context(), Identity(account(**limits)), command, key)


async def test_every_wrong_number_is_named(world):
    with pytest.raises(InvalidFields) as caught:
        await run(world, ClickToCall("x", "918000680002", ""))
    assert set(caught.value.fields) == {"agent_number", "caller_id"}
    assert not world.store.appended


async def test_unavailable_comes_before_the_gate(world):
    world.engine.refuses = Unavailable("draining")
    with pytest.raises(Unavailable):
        await run(world, concurrent_calls=0)
    assert not world.store.appended


async def test_a_refusal_names_its_rule_in_the_timeline(world):
    with pytest.raises(Forbidden):
        await run(world, concurrent_calls=0)
    refused = next(r.event for r in world.store.appended if isinstance(r, CallEvent) and r.event.seq == 2)
    assert refused.data["rule"] == "concurrent_calls"
    request_id = next(iter(world.store.kept))
    shown = await calls.show(world.context(), "account_1", request_id)
    assert (shown.state, shown.end_reason, shown.legs) == ("ended", "gate", {})


async def test_a_claim_of_a_dead_engine_is_taken_over(world):
    await claim_without_effect(world)
    world.time += timedelta(seconds=ORPHAN_AFTER + 1)
    request_id = await run(world, key=KEY)
    assert [call.request_id for call in world.engine.started] == [request_id] != ["dead000000"]
    assert await run(world, key=KEY) == request_id
    assert len(world.engine.started) == 1


async def test_a_young_claim_without_effect_is_waited_for_then_refused(world, monkeypatch):
    monkeypatch.setattr(idempotency, "WAIT", 0.0)
    await claim_without_effect(world)
    with pytest.raises(Unavailable):
        await run(world, key=KEY)
    assert not world.engine.started
    assert ("account_1", KEY.key) in world.store.keys


async def claim_without_effect(world):
    answer = {"answer": {"request_id": "dead000000"}, "claimed_at": world.time.timestamp()}
    await world.store.claim_key("account_1", KEY.key, KEY.fingerprint, answer)


def test_a_fingerprint_leaves_otp_out_and_knows_its_operation():
    def made(body, operation="POST /api/x", secret=b"k"):
        return fingerprint(body, secret=secret, operation=operation)

    assert made({"a": 1, "b": "2", "otp": "1234"}) == made({"b": "2", "a": 1, " o tp": "9999"})
    assert made({"a": 1}) != made({"a": "1"})
    assert made({"a": 1}) != made({"a": 1}, operation="POST /api/y")
    assert made({"a": 1}) != made({"a": 1}, secret=b"l")


async def test_ids_that_are_none_do_not_reach_the_store(world):
    world.store.away = True
    for request_id in ("x", "../..", "57362DE4F0", "57362de4f01"):
        with pytest.raises(NotFound):
            await calls.show(world.context(), "account_1", request_id)


class TestRateLimiter:
    def test_a_minutes_worth_at_once_then_evenly(self):
        now = 1000.0
        limiter = RateLimiter(lambda: now)
        limited = account(requests_per_minute=6)
        for _ in range(6):
            limiter.take(limited)
        with pytest.raises(TooMany) as caught:
            limiter.take(limited)
        assert caught.value.retry_after == 10
        now += 10
        limiter.take(limited)
        with pytest.raises(TooMany):
            limiter.take(limited)

    def test_zero_is_no_limit_and_accounts_are_apart(self):
        limiter = RateLimiter(lambda: 0.0)
        for _ in range(1000):
            limiter.take(account())
        limiter.take(account(requests_per_minute=1))
        limiter.take(account("account_2", requests_per_minute=1))
        with pytest.raises(TooMany):
            limiter.take(account(requests_per_minute=1))


class TestRemembered:
    """What has an answer only when it is done."""

    async def test_a_key_gives_the_first_answer_and_does_nothing(self, world):
        acts = Acts()
        first = await remembered(world.context(), "account_1", KEY, acts.act)
        assert await remembered(world.context(), "account_1", KEY, acts.act) == first == {"n": 1}
        assert await remembered(world.context(), "account_1", None, acts.act) == {"n": 2}
        with pytest.raises(StateConflict):
            await remembered(world.context(), "account_1", Key(KEY.key, "another"), acts.act)

    async def test_what_failed_may_be_done_again(self, world):
        acts = Acts(InvalidFields({"contacts": "bad"}))
        with pytest.raises(InvalidFields):
            await remembered(world.context(), "account_1", KEY, acts.act)
        assert await remembered(world.context(), "account_1", KEY, acts.act) == {"n": 1}

    async def test_a_second_one_waits_for_the_first(self, world):
        acts = Acts()
        acts.held.clear()
        both = [asyncio.create_task(remembered(world.context(), "account_1", KEY, acts.act)) for _ in range(2)]
        await asyncio.wait_for(acts.begun.wait(), 30)
        acts.held.set()
        assert await asyncio.gather(*both) == [{"n": 1}, {"n": 1}]

    async def test_one_whose_engine_died_is_done_again(self, world):
        acts = Acts()
        claim = {"answer": None, "claimed_at": world.time.timestamp()}
        await world.store.claim_key("account_1", KEY.key, KEY.fingerprint, claim)
        world.time += timedelta(seconds=ORPHAN_AFTER + 1)
        assert await remembered(world.context(), "account_1", KEY, acts.act) == {"n": 1}


class Acts:
    """Counts how often it was done."""

    def __init__(self, *errors):
        self.errors = list(errors)
        self.done = 0
        self.begun, self.held = asyncio.Event(), asyncio.Event()
        self.held.set()

    async def act(self):
        self.begun.set()
        await self.held.wait()
        if self.errors:
            raise self.errors.pop()
        self.done += 1
        return {"n": self.done}
