"""Web hooks of real calls: what a receiver is told, when, and that it can believe it."""

import json

import pytest
import pytest_asyncio

from engine.testkit import numbers
from engine.testkit.client import at, new_key, seconds_between
from engine.testkit.poll import eventually
from tests.acceptance.conversations import click_to_call
from tests.receiver import Receiver

pytestmark = pytest.mark.asyncio(loop_scope="session")

CONVERSATION = [
    "call.created",
    "call.ringing",
    "call.answered",
    "call.ringing",
    "call.answered",
    "call.bridged",
    "call.ended",
]


@pytest_asyncio.fixture(loop_scope="session")
async def receiver():
    made = Receiver()
    await made.start()
    yield made
    made.hold.set()
    await made.runner.cleanup()


@pytest_asyncio.fixture(loop_scope="session")
async def subscribe(stack, receiver):
    """Subscribe a path of the receiver, as account_1 or as ``api``; (id, secret). All are gone after the test."""
    made = []

    async def add(*types, api=stack.api, path="/"):
        reply = (await api.post("/api/webhooks", {"url": receiver.url(path), "types": list(types)})).expect()
        made.append((api, reply.response["id"]))
        return reply.response["id"], reply.response["secret"]

    yield add
    for api, webhook_id in made:
        await api.request("DELETE", f"/api/webhooks/{webhook_id}")


async def told(receiver, request_id, *, until, within=60.0):
    """(type, sequence) of what was told about the call, once ``until`` was."""

    async def look():
        found = [(kind, sequence) for kind, about, sequence in receiver.told if about == request_id]
        return found if until in [kind for kind, _ in found] else None

    return await eventually(look, within=within, what=until, tell=lambda: _story(receiver))


async def _story(receiver):
    return "\n".join(map(str, receiver.told))


async def test_a_conversation_is_told_from_beginning_to_end(stack, receiver, subscribe):
    _, secret = await subscribe("call.*", "recording.*")
    seen = {}

    async def look_up(body):
        """What a receiver finds that looks at once."""
        about = body["data"]["request_id"]
        if body["type"] == "call.ended":
            seen["cdrs"] = await stack.api.cdrs(about)
        elif body["type"] == "recording.ready":
            seen["recording"] = await stack.api.get(f"/api/recordings/{body['data']['recording_name']}")

    receiver.then = look_up
    done = await click_to_call(stack.api, stack, customer=numbers.ending("3002"), recording_option="on")
    events = await told(receiver, done.request_id, until="recording.ready")
    assert [kind for kind, _ in events] == [*CONVERSATION, "recording.ready"], done.story
    sequences = [sequence for _, sequence in events]
    assert sequences == sorted(set(sequences))
    bodies = {body["type"]: body for body in receiver.verified(secret)}
    timeline = {event["sequence"]: event["type"] for event in await stack.api.events(done.request_id)}
    assert timeline[bodies["call.bridged"]["data"]["sequence"]] == "call.bridged"
    answered = bodies["call.answered"]
    assert answered["data"]["leg"]["number"] == done.customer_number
    assert answered["timestamp"] == done.leg("customer")["answered_at"]
    ended = bodies["call.ended"]["data"]
    assert (ended["end_reason"], ended["dial_status"], ended["customer_number"]) == (
        "completed",
        "ANSWER",
        done.customer_number,
    )
    await eventually(lambda: _are(seen, "cdrs", "recording"), within=60, what="answers of the receiver's own requests")
    assert [cdr["request_id"] for cdr in seen["cdrs"]] == [done.request_id]
    assert seen["recording"].status == 200


async def _are(seen, *names):
    return all(name in seen for name in names)


async def test_a_hook_is_told_of_its_own_accounts_calls_and_of_its_types(stack, receiver, subscribe):
    await subscribe("call.answered", "call.ended", path="/one")
    await subscribe("call.ended", path="/two", api=stack.api2)
    done = await click_to_call(stack.api, stack, customer=numbers.ending("3001"))
    other = await click_to_call(stack.api2, stack, customer=numbers.ending("3001"))
    await told(receiver, other.request_id, until="call.ended")
    await told(receiver, done.request_id, until="call.ended")
    found = sorted((path, body["type"], body["data"]["request_id"]) for path, _, body, _ in receiver.got)
    assert found == sorted(
        [
            ("/one", "call.answered", done.request_id),
            ("/one", "call.answered", done.request_id),
            ("/one", "call.ended", done.request_id),
            ("/two", "call.ended", other.request_id),
        ]
    )


OUTCOMES = {"0486": ("busy", "BUSY"), "0603": ("rejected", "CHANUNAVAIL"), "0404": ("failed", "CHANUNAVAIL")}


async def test_calls_that_reach_nobody_have_one_end(stack, receiver, subscribe):
    await subscribe("call.*")
    done = {each: await stack.api.click2call(numbers.plain(), numbers.ending(each)) for each in OUTCOMES}
    for each, request_id in done.items():
        await told(receiver, request_id, until="call.ended")
        ends = [body["data"] for _, _, body, _ in receiver.got if body["data"]["request_id"] == request_id]
        ends = [data for data in ends if "end_reason" in data]
        assert [(data["end_reason"], data["dial_status"]) for data in ends] == [OUTCOMES[each]]


async def test_a_call_that_comes_in_is_told(stack, receiver, subscribe):
    await subscribe("call.*")
    caller = numbers.plain()
    stack.dial_in("15550009998", caller)

    async def look():
        return next((about for kind, about, _ in receiver.told if kind == "call.ended"), None)

    request_id = await eventually(look, within=60, what="call.ended")
    first = receiver.got[0][2]
    assert (first["type"], first["data"]["direction"]) == ("call.created", "inbound")
    assert (await told(receiver, request_id, until="call.ended"))[-1][0] == "call.ended"


async def test_a_refused_request_has_a_beginning_and_an_end(stack, receiver, subscribe):
    await subscribe("call.*")
    body = {"agent_number": numbers.plain(), "destination_number": numbers.plain(), "caller_id": "15550001111"}
    (await stack.api.post("/api/click2call", body)).expect(403)

    async def look():
        return len(receiver.got) == 2

    await eventually(look, within=60, what="two messages")
    assert [body["type"] for _, _, body, _ in receiver.got] == ["call.created", "call.ended"]
    assert receiver.got[1][2]["data"]["end_reason"] == "gate"


async def test_a_call_that_is_cancelled_while_the_receiver_is_slow(stack, receiver, subscribe):
    """The call takes no notice of its hook; the messages come in order afterwards."""
    await subscribe("call.*")
    receiver.hold.clear()
    request_id = await stack.api.click2call(numbers.plain(), numbers.ending(numbers.RINGS_FOR_EVER))
    await stack.api.wait_leg(request_id, "customer", "ringing")
    (await stack.api.hang_up(request_id)).expect()
    await stack.api.wait_ended(request_id, 60)
    assert len(receiver.got) == 1
    receiver.hold.set()
    events = await told(receiver, request_id, until="call.ended")
    assert [sequence for _, sequence in events] == sorted(sequence for _, sequence in events)


async def test_a_failed_delivery_is_in_the_log_and_is_tried_again_after_five_seconds(stack, receiver, subscribe):
    webhook_id, secret = await subscribe("call.ended")
    receiver.statuses = [302]
    receiver.headers = {"Location": "http://127.0.0.2:9/"}
    request_id = await stack.api.click2call(numbers.ending(numbers.BUSY), numbers.plain())

    async def failed():
        page = (await stack.api.get(f"/api/webhooks/{webhook_id}/deliveries?state=waiting")).expect().response
        return next((each for each in page["deliveries"] if each["status"]), None)

    entry = await eventually(failed, within=60, what="failed delivery in the log")
    assert (entry["request_id"], entry["attempts"], entry["status"]) == (request_id, 1, 302)
    assert "redirects are not followed" in entry["error"]
    assert entry["next_attempt_at"] > entry["last_attempt_at"]
    await eventually(lambda: _count(receiver, 2), within=60, what="second attempt")
    assert receiver.at[1] >= at(entry["next_attempt_at"]).timestamp() - 0.1
    assert seconds_between(entry["last_attempt_at"], entry["next_attempt_at"]) > 3
    first, second = receiver.got
    assert first[1]["webhook-id"] == second[1]["webhook-id"]
    assert receiver.verified(secret)[0] == receiver.verified(secret)[1]


async def _count(receiver, wanted):
    return len(receiver.got) >= wanted


async def test_the_command_line(stack, receiver):
    account = stack.api.account
    made = json.loads(await stack.trunkline("webhooks", "add", account, receiver.url("/cli"), "call.ended", "--json"))
    listed = json.loads(await stack.trunkline("webhooks", "list", "--account", account, "--json"))
    assert made["id"] in [hook["id"] for hook in listed]
    assert "delivered (status 204)" in await stack.trunkline("webhooks", "test", made["id"])
    assert receiver.verified(made["secret"])[0]["type"] == "webhook.test"
    log = json.loads(await stack.trunkline("webhooks", "deliveries", made["id"], "--json"))
    assert [(each["type"], each["state"]) for each in log] == [("webhook.test", "delivered")]
    await stack.trunkline("webhooks", "redeliver", str(log[0]["id"]))
    await eventually(lambda: _count(receiver, 2), within=60, what="the message again")
    shown = (await stack.trunkline("webhooks", "secret", account)).strip()
    assert shown == (await stack.api.get("/api/webhook_secret")).response["secret"]
    await stack.trunkline("webhooks", "remove", made["id"])
    assert (await stack.api.get(f"/api/webhooks/{made['id']}")).status == 404


@pytest.mark.parametrize(
    "url",
    [
        "http://10.0.0.1/",
        "http://192.168.1.1:8080/",
        "http://169.254.169.254/latest/meta-data/",
        "http://[::1]:8080/",
        "http://[fe80::1]/",
        "http://[fd00:ec2::254]/",
        "http://[::ffff:10.0.0.1]/",
        "http://[64:ff9b::a00:1]/",
        "http://0.0.0.0/",
        "http://metadata.google.internal/",
        "http://3232235777/",
        "file:///etc/passwd",
        "https://user:secret@example.com/",
        "https://example.com/" + "a" * 3000,
        "no url",
    ],
)
async def test_urls_that_must_not_be_asked_for(stack, url):
    reply = await stack.api.post("/api/webhooks", {"url": url, "types": ["call.ended"]})
    assert reply.status == 422
    assert set(reply.response["errors"]) == {"url"}


async def test_one_key_one_subscription(stack, subscribe, receiver):
    body = {"url": receiver.url(), "types": ["call.ended"]}
    key = {"Idempotency-Key": new_key()}
    first, second = [await stack.api.request("POST", "/api/webhooks", body=body, headers=key) for _ in range(2)]
    assert first.expect().response["secret"] == second.expect().response["secret"]
    listed = (await stack.api.get("/api/webhooks")).response["webhooks"]
    assert [hook["id"] for hook in listed].count(first.response["id"]) == 1
    (await stack.api.request("DELETE", f"/api/webhooks/{first.response['id']}")).expect()
