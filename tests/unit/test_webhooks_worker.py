"""When a message is tried again, when it is given up, and how it is signed."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from prometheus_client import CollectorRegistry
from standardwebhooks import Webhook as Verifier
from standardwebhooks.webhooks import WebhookVerificationError

from engine.commands.webhooks import checked_types, enqueue_notification, notify_param
from engine.errors import InvalidFields
from engine.ops.webhooks import WebhookCollector
from engine.webhooks.port import Message
from engine.webhooks.resolve import Guard
from engine.webhooks.sender import Outcome
from engine.webhooks.signing import encode, headers, new_secret
from engine.webhooks.worker import DELAYS, JITTER, Worker
from tests.unit.webhook_fakes import FakeHooks


def message(attempts=1, **changes):
    facts = {
        "id": 1,
        "account": "account_1",
        "url": "https://example.com/",
        "host": "example.com",
        "subject": "57362de4f0",
        "sequence": 7,
        "type": "call.ended",
        "body": {"data": {"x": "ü", "sequence": 7, "request_id": "57362de4f0"}, "type": "call.ended", "timestamp": "t"},
        "attempts": attempts,
        "secret": new_secret(),
    }
    return Message(**{**facts, **changes})


def test_the_delays_are_the_contracts():
    assert list(DELAYS) == [5, 60, 5 * 60, 30 * 60, 2 * 3600, 6 * 3600, 12 * 3600, 24 * 3600]


@pytest.mark.parametrize("attempts", range(1, 10))
def test_a_failure_is_tried_again_after_the_contracts_delay(attempts):
    worker = Worker(None, None)
    state, again_in = worker._fate(message(attempts), Outcome(500, "answered 500"))
    if attempts <= len(DELAYS):
        assert state == "waiting"
        assert DELAYS[attempts - 1] <= again_in <= DELAYS[attempts - 1] * (1 + JITTER)
    else:
        assert (state, again_in) == ("dead", 0)


def test_a_success_is_the_end():
    assert Worker(None, None)._fate(message(9), Outcome(204, None)) == ("delivered", 0)


def test_the_standards_own_library_takes_the_signature():
    sent = message()
    body = encode(sent.body)
    signed = headers(sent, sent.secret, body)
    assert Verifier(sent.secret).verify(body, signed) == sent.body
    assert signed["webhook-id"] == "msg_57362de4f0_7"
    assert signed["webhook-signature"].startswith("v1,")
    assert abs(int(signed["webhook-timestamp"]) - datetime.now(UTC).timestamp()) < 60
    for changed in ({"webhook-id": "msg_other"}, {"webhook-timestamp": str(int(signed["webhook-timestamp"]) + 1)}):
        with pytest.raises(WebhookVerificationError):
            Verifier(sent.secret).verify(body, {**signed, **changed})
    with pytest.raises(WebhookVerificationError):
        Verifier(new_secret()).verify(body, signed)


def test_a_later_attempt_has_the_same_id_and_its_own_time():
    sent, body = message(), b"{}"
    now = datetime.now(UTC)
    first, second = (headers(sent, sent.secret, body, now + timedelta(seconds=each)) for each in (0, 300))
    assert first["webhook-id"] == second["webhook-id"]
    assert first["webhook-timestamp"] != second["webhook-timestamp"]
    assert first["webhook-signature"] != second["webhook-signature"]


def test_a_body_is_ascii_and_begins_with_what_it_is_about():
    text = encode(message().body).decode("ascii")
    assert list(json.loads(text)) == ["type", "timestamp", "data"]
    assert list(json.loads(text)["data"]) == ["request_id", "sequence", "x"]


def test_secrets_differ_and_are_long():
    secrets = {new_secret() for _ in range(100)}
    assert len(secrets) == 100
    assert all(len(each) == len("whsec_") + 32 for each in secrets)


class Settling:
    """The outbox of a worker, which must not have counted yet when it is told."""

    def __init__(self):
        self.counted = []
        self.worker = Worker(self, None)

    async def settle(self, _message_id, _state, **_outcome):
        self.counted.append((self.worker.delivered, self.worker.failed, self.worker.dead))


async def test_attempts_are_counted_once_they_are_settled():
    outbox, registry = Settling(), CollectorRegistry()
    worker = outbox.worker
    registry.register(WebhookCollector(worker))
    await worker._settle(message(1), Outcome(500, "answered 500"))
    await worker._settle(message(9), Outcome(None, "took too long"))
    await worker._settle(message(1), Outcome(204, None))
    assert outbox.counted == [(0, 0, 0), (0, 1, 0), (0, 2, 1)]
    value = registry.get_sample_value
    assert value("trunkline_webhook_attempts_total", {"outcome": "failed"}) == 2
    assert value("trunkline_webhook_attempts_total", {"outcome": "delivered"}) == 1
    assert (value("trunkline_webhook_dead_total"), value("trunkline_webhook_under_way")) == (1, 0)


async def test_the_notify_param_of_a_call():
    hooks = FakeHooks()
    guard = Guard(lookup=hooks.lookup)
    made = await notify_param(guard, "HTTPS://example.com/n", ["call.ended", "recording.*"])
    assert made == [{"url": "https://example.com/n", "types": ["call.ended", "recording.*"]}]
    with pytest.raises(InvalidFields) as told:
        await notify_param(guard, "http://10.0.0.1/", ["call.ended"], field="notify_callback_url")
    assert set(told.value.fields) == {"notify_callback_url"}
    with pytest.raises(InvalidFields):
        checked_types(["nothing"])


async def test_a_notification_of_something_that_is_no_call():
    hooks = FakeHooks()
    made = await enqueue_notification(
        hooks, "account_1", "campaign.finished", "CA1", {"x": 1}, url="https://example.com/n"
    )
    assert made == [1]
    assert hooks.log[0].body == {"type": "campaign.finished", "timestamp": "", "data": {"x": 1, "sequence": 1}}
