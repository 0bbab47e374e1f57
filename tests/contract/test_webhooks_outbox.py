"""The outbox on a real PostgreSQL, with a real receiver: what is told, to whom, in which order, how often."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import replace

import asyncpg
import pytest
from standardwebhooks import Webhook as Verifier

from engine.calls.events import Event, Kind
from engine.errors import StateConflict
from engine.store.port import CallEvent
from engine.store.webhooks import MOST, PgHooks
from engine.webhooks.addresses import networks
from engine.webhooks.resolve import Guard
from engine.webhooks.sender import Sender
from engine.webhooks.signing import new_secret
from engine.webhooks.worker import PER_HOST, Worker
from tests.receiver import Receiver
from tests.store_facts import START, closing, new_call, new_leg, request_id
from tests.waiting import until

LEASE = 120.0


@pytest.fixture
async def hooks(database) -> PgHooks:
    async with database.acquire() as connection:
        await connection.execute(
            "INSERT INTO accounts (account, number, country) VALUES ('account_1', 1, '91'), ('account_2', 2, '1')"
        )
    return PgHooks(database)


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    made = Receiver()
    await made.start()
    yield made
    await made.runner.cleanup()


async def loopback(_host, _port):
    return ["127.0.0.1"]


class Running:
    """A worker at work."""

    def __init__(self, hooks, **settings):
        self.sender = Sender(Guard(networks(["127.0.0.0/8"]), loopback))
        self.worker = Worker(hooks, self.sender, **{"poll": 0.05, "delays": (0.05,) * 8, **settings})

    async def __aenter__(self):
        self.task = asyncio.create_task(self.worker.run())
        return self.worker

    async def __aexit__(self, *_):
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)
        await self.sender.close()


async def subscribe(hooks, url, *types, account="account_1"):
    secret = new_secret()
    return await hooks.add(
        f"WH{abs(hash((url, types))) % 10**10:010d}", account, url, types or ("call.*",), secret
    ), secret


def timeline(n, account="account_1"):
    """What the journal gets of a call, the end but for its closing."""
    rid = request_id(n)
    kinds = (
        (Kind.CALL_CREATED, None), (Kind.LEG_CREATED, 1), (Kind.LEG_RINGING, 1), (Kind.LEG_ANSWERED, 1),
        (Kind.CALL_BRIDGED, None), (Kind.LEG_ENDED, 1), (Kind.CALL_ENDED, None),
    )  # fmt: skip
    events = [CallEvent(rid, Event(kind, START, leg, {"otp": "4711"}, seq)) for seq, (kind, leg) in enumerate(kinds, 1)]
    return [new_call(n, account=account), new_leg(n), *events]


def end(n):
    body = {"request_id": request_id(n), "sequence": 7, "end_reason": "completed"}
    return closing(n, outbox=({"type": "call.ended", "timestamp": "2026-03-05T10:00:09.000Z", "data": body},))


TOLD = [("call.created", 1), ("call.ringing", 3), ("call.answered", 4), ("call.bridged", 5), ("call.ended", 7)]


async def write(journal, *records):
    journal.append(*records)
    await journal.committed()
    assert journal.rejected == 0


async def outbox(dsn):
    connection = await asyncpg.connect(dsn)
    try:
        return await connection.fetch("SELECT *, body::text AS text FROM outbox ORDER BY id")
    finally:
        await connection.close()


# -- what the journal writes -------------------------------------------------------------------------------------


async def test_a_call_of_an_account_with_a_hook_makes_messages(hooks, journal, dsn):
    hook, _ = await subscribe(hooks, "https://example.com/")
    await write(journal, *timeline(1), end(1))
    rows = await outbox(dsn)
    assert [(row["type"], row["sequence"]) for row in rows] == TOLD
    assert {row["webhook"] for row in rows} == {hook.id}
    ringing, ended = json.loads(rows[1]["text"]), json.loads(rows[-1]["text"])
    assert ringing["timestamp"] == "2026-03-05T10:00:00.123Z"
    assert ringing["data"]["leg"]["role"] == "agent"
    assert ringing["data"]["customer_number"] == "918000680002"
    assert (ended["data"]["dial_status"], ended["data"]["billsec"]) == ("ANSWER", 7.26955)
    assert ended["data"]["answered_at"] == "2026-03-05T10:00:02.123Z"
    assert "4711" not in "".join(row["text"] for row in rows), "what an event holds beside is nobody's business"


async def test_the_same_records_again_make_nothing_more(hooks, journal, dsn):
    await subscribe(hooks, "https://example.com/")
    for _ in range(3):
        await write(journal, *timeline(1), end(1))
    assert [(row["type"], row["sequence"]) for row in await outbox(dsn)] == TOLD


async def test_accounts_without_a_hook_make_none(hooks, journal, dsn):
    await subscribe(hooks, "https://example.com/", account="account_2")
    await write(journal, *timeline(1), end(1))
    assert await outbox(dsn) == []


async def test_a_hook_is_told_what_it_asked_for(hooks, journal, dsn):
    await subscribe(hooks, "https://example.com/1", "call.ended")
    await subscribe(hooks, "https://example.com/2", "call.answered", "recording.ready")
    await subscribe(hooks, "https://example.com/3", "recording.*", "campaign.*")
    recorded = [
        CallEvent(request_id(1), Event(kind, START, None, {"recording_name": "a.wav", "duration": 2.5}, seq))
        for seq, kind in ((8, Kind.RECORDING_READY), (9, Kind.RECORDING_FAILED))
    ]
    await write(journal, *timeline(1), end(1))
    await write(journal, *recorded)
    assert [(row["url"][-1], row["type"]) for row in await outbox(dsn)] == [
        ("2", "call.answered"),
        ("1", "call.ended"),
        ("2", "recording.ready"),
        ("3", "recording.ready"),
        ("3", "recording.failed"),
    ]
    assert json.loads((await outbox(dsn))[2]["text"])["data"]["recording_name"] == "a.wav"


async def test_notify_urls_of_a_call_are_told_of_that_call_alone(hooks, journal, dsn):
    notify = [{"url": "https://example.com/n", "types": ["call.answered", "call.ended"]}]
    first, *rest = timeline(1)
    await write(journal, replace(first, params={**first.params, "notify": notify}), *rest, end(1), *timeline(2), end(2))
    rows = await outbox(dsn)
    assert [(row["subject"], row["type"], row["webhook"]) for row in rows] == [
        (request_id(1), "call.answered", None),
        (request_id(1), "call.ended", None),
    ]


@pytest.mark.parametrize(
    "notify",
    ["x", {"url": "https://example.com/"}, [{"url": "nowhere", "types": ["call.*"]}], [{"types": 1}], [None], [3]],
)
async def test_a_notify_param_that_makes_no_sense_harms_no_record(hooks, journal, dsn, notify):
    first, *rest = timeline(1)
    await write(journal, replace(first, params={"notify": notify}), *rest, end(1))
    assert await outbox(dsn) == []


async def test_publishing(hooks, dsn):
    hook, _ = await subscribe(hooks, "https://example.com/", "campaign.*")
    assert await hooks.publish("account_1", "room.joined", "8000", {}) == []
    assert await hooks.publish("account_2", "campaign.started", "CA1", {}) == []
    first = await hooks.publish("account_1", "campaign.started", "CA1", {"a": "ü"})
    second = await hooks.publish("account_1", "campaign.finished", "CA1", {})
    third = await hooks.publish("account_1", "campaign.finished", "CA1", {}, url="https://example.com/n")
    fourth = await hooks.publish("account_1", "webhook.test", "test-1", {}, webhook_id=hook.id)
    assert len(first) == len(second) == len(third) == len(fourth) == 1
    rows = await outbox(dsn)
    assert [row["sequence"] for row in rows] == sorted(row["sequence"] for row in rows)
    assert await hooks.publish("account_1", "campaign.x", "CA1", {}, sequence=rows[0]["sequence"]) == []


async def test_an_account_has_so_many_hooks_and_no_more(hooks):
    for n in range(MOST):
        await hooks.add(f"WH{n:010d}", "account_1", "https://example.com/", ("call.*",), new_secret())
    with pytest.raises(StateConflict):
        await hooks.add(f"WH{99:010d}", "account_1", "https://example.com/", ("call.*",), new_secret())
    assert len(await hooks.all("account_1")) == MOST


# -- delivery ----------------------------------------------------------------------------------------------------


async def test_messages_arrive_signed_and_in_order(hooks, journal, receiver, database):
    _, secret = await subscribe(hooks, receiver.url("/x?a=b"))
    async with Running(hooks, poll=60) as worker:
        database.listener.subscribe(lambda told: worker.wake() if told in (None, "outbox") else None)
        await database.listener.listening.wait()
        for n in range(1, 6):
            await write(journal, *timeline(n), end(n))
        await until(lambda: worker.delivered == 25)
    for _, headers, body, raw in receiver.got:
        assert Verifier(secret).verify(raw, headers) == body
    for n in range(1, 6):
        assert [(t, s) for t, rid, s in receiver.told if rid == request_id(n)] == TOLD
    assert len({headers["webhook-id"] for _, headers, _, _ in receiver.got}) == 25
    log = await hooks.deliveries("account_1", None, state="delivered", limit=100, before=None)
    assert len(log) == 25
    assert {(each.status, each.attempts, each.error) for each in log} == {(204, 1, None)}


async def test_a_later_message_waits_for_the_one_before_it(hooks, journal, receiver):
    await subscribe(hooks, receiver.url())
    receiver.statuses = [500, 503, 404]
    await write(journal, *timeline(1), end(1))
    async with Running(hooks) as worker:
        await until(lambda: worker.delivered == 5)
    first = ("call.created", request_id(1), 1)
    assert receiver.told == [first] * 3 + [(kind, request_id(1), seq) for kind, seq in TOLD]
    log = await hooks.deliveries(None, None, state=None, limit=10, before=None)
    assert [each.attempts for each in log] == [1, 1, 1, 1, 4]


async def test_other_calls_do_not_wait(hooks, journal, receiver):
    await subscribe(hooks, receiver.url())
    receiver.statuses = [500]
    async with Running(hooks, delays=(60,) * 8) as worker:
        await write(journal, *timeline(1))
        worker.wake()
        await until(lambda: len(receiver.got) == 1)
        await write(journal, *timeline(2), end(2))
        worker.wake()
        await until(lambda: worker.delivered == 5)
    assert {rid for _, rid, _ in receiver.told[1:]} == {request_id(2)}


async def test_after_the_last_try_a_message_is_dead_and_the_next_has_its_turn(hooks, journal, receiver):
    hook, _ = await subscribe(hooks, receiver.url())
    receiver.statuses = [500] * 9
    await write(journal, *timeline(1), end(1))
    async with Running(hooks) as worker:
        await until(lambda: worker.delivered == 4)
        assert worker.dead == 1
        dead = await hooks.deliveries("account_1", hook.id, state="dead", limit=10, before=None)
        assert [(each.type, each.attempts, each.status) for each in dead] == [("call.created", 9, 500)]
        assert await hooks.redeliver("account_1", hook.id, dead[0].id)
        worker.wake()
        await until(lambda: worker.delivered == 5)
    assert len({headers["webhook-id"] for _, headers, _, _ in receiver.got}) == 5
    assert await hooks.deliveries(None, None, state="dead", limit=10, before=None) == []


async def test_a_slow_host_delays_nobody_else(hooks, journal, receiver):
    await subscribe(hooks, receiver.url(host="slow.example"))
    quick = Receiver()
    await quick.start()
    try:
        await subscribe(hooks, quick.url(), account="account_2")
        receiver.hold.clear()
        async with Running(hooks) as worker:
            for n in range(1, 31):
                await write(journal, *timeline(n), end(n))
            worker.wake()
            await until(lambda: receiver.at_once == PER_HOST)
            await write(journal, *timeline(100, "account_2"), end(100))
            worker.wake()
            async with asyncio.timeout(60):
                await until(lambda: len(quick.got) == 5)
            assert receiver.most_at_once == PER_HOST
            receiver.hold.set()
            await until(lambda: worker.delivered == 155)
        assert receiver.most_at_once == PER_HOST
    finally:
        await quick.runner.cleanup()


async def test_several_engines_share_the_work_and_deliver_each_message_once(hooks, journal, receiver):
    await subscribe(hooks, receiver.url())
    for n in range(1, 41):
        await write(journal, *timeline(n), end(n))
    async with Running(hooks) as first, Running(hooks) as second, Running(hooks) as third:
        await until(lambda: first.delivered + second.delivered + third.delivered == 200)
        assert sum(worker.delivered > 0 for worker in (first, second, third)) > 1
    assert len(receiver.got) == 200
    for n in range(1, 41):
        assert [(t, s) for t, rid, s in receiver.told if rid == request_id(n)] == TOLD


async def test_what_a_dead_engine_had_in_hand_is_delivered_by_another(hooks, journal, receiver):
    await subscribe(hooks, receiver.url())
    await write(journal, *timeline(1), end(1))
    claim = await hooks.claim(limit=10, per_host=4, busy={}, lease=0.3)
    assert [message.type for message in claim.messages] == ["call.created"]
    while (await hooks.claim(limit=10, per_host=4, busy={}, lease=0.3)).moved:
        pass
    async with Running(hooks) as worker:
        await until(lambda: worker.delivered == 5)
    assert [seq for _, _, seq in receiver.told] == [1, 3, 4, 5, 7]


async def test_a_worker_that_is_stopped_gives_back_what_it_had(hooks, journal, receiver):
    await subscribe(hooks, receiver.url())
    await write(journal, *timeline(1), end(1))
    receiver.hold.clear()
    async with Running(hooks):
        await until(lambda: receiver.at_once == 1)
    receiver.hold.set()
    async with Running(hooks, lease=LEASE) as worker:
        async with asyncio.timeout(LEASE / 2):
            await until(lambda: worker.delivered == 5)
    log = await hooks.deliveries(None, None, state=None, limit=10, before=None)
    assert {each.attempts for each in log} == {1}


async def test_no_more_than_the_free_places_are_claimed(hooks, journal):
    await subscribe(hooks, "http://a.example/", "call.created")
    await subscribe(hooks, "http://b.example/", "call.created")
    for n in range(1, 21):
        await write(journal, *timeline(n))
    first = await hooks.claim(limit=100, per_host=4, busy={"a.example": 3}, lease=LEASE)
    assert sorted(message.host for message in first.messages) == ["a.example"] + ["b.example"] * 4
    assert (await hooks.claim(limit=3, per_host=100, busy={}, lease=LEASE, without=["account_1"])).moved == 0
    second = await hooks.claim(limit=3, per_host=100, busy={}, lease=LEASE, without=["account_2"])
    assert len(second.messages) == 3


async def test_notify_urls_are_signed_with_the_accounts_secret(hooks, journal, receiver):
    notify = [{"url": receiver.url("/n"), "types": ["call.ended"]}]
    first, *rest = timeline(1)
    await write(journal, replace(first, params={"notify": notify}), *rest, end(1))
    async with Running(hooks) as worker:
        await until(lambda: worker.delivered == 1)
    _, headers, body, raw = receiver.got[0]
    assert Verifier(await hooks.account_secret("account_1")).verify(raw, headers) == body


async def test_a_hook_that_is_removed_takes_its_messages_along(hooks, journal, dsn):
    hook, _ = await subscribe(hooks, "https://example.com/")
    await write(journal, *timeline(1))
    assert not await hooks.remove("account_2", hook.id)
    assert await hooks.remove("account_1", hook.id)
    assert await outbox(dsn) == []
    await write(journal, end(1))
    assert await outbox(dsn) == []


async def test_secrets_of_accounts(hooks):
    first = await hooks.account_secret("account_1")
    assert await hooks.account_secret("account_1") == first
    assert await hooks.account_secret("account_1", rotate=True) != first
    assert await hooks.account_secret("account_2") != await hooks.account_secret("account_1")


async def test_old_deliveries_are_forgotten(hooks, journal, database, dsn):
    await subscribe(hooks, "https://example.com/")
    notify = [{"url": "https://example.com/n", "types": ["call.ended"]}]
    first, *rest = timeline(1)
    await write(journal, replace(first, params={"notify": notify}), *rest, end(1))
    async with database.acquire() as connection:
        await connection.execute(
            "UPDATE outbox SET state = (ARRAY['delivered', 'dead', 'waiting', 'delivered', 'dead', 'waiting'])[id],"
            " settled_at = now() - make_interval(days => CASE id WHEN 1 THEN 8 WHEN 2 THEN 8 WHEN 4 THEN 6 ELSE 31 END)"
        )
        await connection.execute("UPDATE calls SET ended_at = now() - interval '8 days'")
        await hooks.forget()
        assert [row["id"] for row in await outbox(dsn)] == [2, 3, 4, 6]
        assert await connection.fetchval("SELECT count(*) FROM call_hooks") == 0
