"""One-time passwords: what the callee hears, what the record says, and that the password is nowhere."""

import asyncio
import mmap
import secrets
from pathlib import Path

import numpy as np
import pytest

from engine.testkit import audio, numbers
from engine.testkit.client import CALLER_ID, leg_of, new_key, seconds_between
from engine.testkit.poll import eventually

pytestmark = pytest.mark.asyncio(loop_scope="session")


def fields(stack, number, **changes):
    given = {
        "customer_number": number,
        "otp": "1987",
        "announce_template_id": stack.json["otp_template"],
        "repeat": "1",
        "caller_id": CALLER_ID,
        **changes,
    }
    return {name: value for name, value in given.items() if value is not None}


async def place(stack, number, **changes):
    reply = await stack.api.post("/api/outbound_call", fields(stack, number, **changes))
    return str(reply.expect().response["request_id"])


async def announced(stack, number, within=60.0, **changes):
    """(call, CDR, what the callee heard) of an announcement that is over."""
    request_id = await place(stack, number, **changes)
    call = await stack.api.wait_ended(request_id, within)
    return call, await stack.api.cdr(request_id), await stack.callee(number)


def password(length=24):
    """One that occurs nowhere by chance."""
    return "".join(secrets.choice("123456789") for _ in range(length))


def bursts(samples, gap=0.6):
    """How many times something was said, with at least ``gap`` seconds of silence between."""
    step = audio.WINDOW
    loud = [audio.level_dbfs(samples[at : at + step]) > -45 for at in range(0, len(samples) - step, step)]
    times = np.flatnonzero(loud) * step / audio.RATE
    return 0 if not len(times) else 1 + int(np.count_nonzero(np.diff(times) > gap))


async def test_the_callee_hears_it_and_is_shown_the_caller_id(stack):
    number = numbers.ending(numbers.SILENT)
    call, cdr, callee = await announced(stack, number)
    assert audio.speech_present(callee.samples, min_seconds=1.0)
    assert callee.caller == CALLER_ID
    assert (call["flow"], call["result"], call["end_reason"]) == ("otp", "announced", "completed")
    assert (cdr["destination_context"], cdr["dial_status"], cdr["call_status"]) == ("local_call", "ANSWER", "ANSWERED")
    assert (cdr["dialed_number"], cdr["customer_number"], cdr["agent_number"]) == (number, number, "")
    assert cdr["billsec"] > 1
    assert leg_of(call, "customer")["hangup_by"] == "engine"


async def test_an_exact_answer(stack):
    number = numbers.ending(numbers.BUSY)
    reply = await stack.api.post("/api/outbound_call", fields(stack, number))
    assert reply.expect().json.keys() == {"response"}
    assert reply.response.keys() == {"request_id", "success"}
    assert reply.response["success"] == "true"
    await stack.api.wait_ended(reply.response["request_id"])


async def test_it_is_said_as_often_as_was_asked_for(stack):
    heard = {}
    for repeat in (1, 3):
        number = numbers.ending(numbers.SILENT)
        call, _, callee = await announced(stack, number, repeat=repeat, otp="17", rate="fast")
        assert call["result"] == "announced"
        heard[repeat] = audio.duration(callee.samples)
        plays = [e for e in await stack.api.events(call["request_id"]) if e["type"] == "play.started"]
        assert len(plays) == repeat
    assert heard[3] > 2.3 * heard[1]


async def test_a_slow_voice_takes_longer_and_a_soft_one_is_softer(stack):
    voices = [{"rate": "x-slow"}, {"rate": "x-fast"}, {"volume": "x- soft"}, {"volume": "x-loud"}]
    slow, fast, soft, loud = [
        done[2].samples
        for done in await asyncio.gather(
            *(announced(stack, numbers.ending(numbers.SILENT), voice="Raveena", **each) for each in voices)
        )
    ]
    assert audio.duration(slow) > 1.3 * audio.duration(fast)
    assert audio.level_dbfs(loud) - audio.level_dbfs(soft) > 10


async def test_a_leading_zero_is_said(stack):
    with_zero, without = await asyncio.gather(
        announced(stack, numbers.ending(numbers.SILENT), otp="0007"),
        announced(stack, numbers.ending(numbers.SILENT), otp="7"),
    )
    assert audio.duration(with_zero[2].samples) > audio.duration(without[2].samples) + 1.5


async def test_it_begins_when_the_callee_is_there(stack):
    """A callee that talks is there with its first packet; one that sends nothing after half a second. Each by the quickest
    of three, for a machine may be slow."""
    wanted = [numbers.plain() for _ in range(3)] + [numbers.ending(numbers.SILENT) for _ in range(3)]
    begun = []
    for call, _, _ in await asyncio.gather(*(announced(stack, number, otp="1") for number in wanted)):
        events = await stack.api.events(call["request_id"])
        at = {event["type"]: event["at"] for event in events}
        begun.append(seconds_between(at["leg.answered"], at["play.started"]))
    assert 0 < min(begun[:3]) < 0.4, begun
    assert 0 < min(begun[3:]) < 1.0, begun


@pytest.mark.parametrize(
    ("ending", "status", "reason"),
    [(numbers.BUSY, "BUSY", "busy"), (numbers.DECLINED, "CHANUNAVAIL", "rejected")],
)
async def test_who_does_not_answer_hears_nothing(stack, ending, status, reason):
    request_id = await place(stack, numbers.ending(ending))
    call = await stack.api.wait_ended(request_id)
    assert (call["result"], call["end_reason"]) == ("not_announced", reason)
    assert (await stack.api.cdr(request_id))["dial_status"] == status
    assert "play.started" not in [event["type"] for event in await stack.api.events(request_id)]


async def test_who_hangs_up_in_the_middle_heard_a_part(stack):
    number = numbers.ending("3002")
    call, cdr, callee = await announced(stack, number, otp="123456789012")
    assert (call["result"], call["end_reason"]) == ("partly_announced", "completed")
    assert leg_of(call, "customer")["hangup_by"] == "callee"
    assert audio.speech_present(callee.samples)
    assert cdr["call_status"] == "ANSWERED"


async def test_who_hangs_up_at_once_heard_nothing(stack):
    call, _, _ = await announced(stack, numbers.ending("3000"))
    assert call["result"] == "not_announced"


async def test_a_cancelled_one_says_how_far_it_came(stack):
    number = numbers.ending(numbers.SILENT)
    request_id = await place(stack, number, otp=password())
    await stack.api.wait_leg(request_id, "customer", "up")

    async def speaking():
        return "play.started" in [event["type"] for event in await stack.api.events(request_id)]

    await eventually(speaking, within=60, what="play.started")
    await asyncio.sleep(0.6)  # of the announcement
    (await stack.api.hang_up(request_id)).expect(200)
    assert (await stack.api.wait_ended(request_id))["result"] == "partly_announced"


async def test_one_key_is_one_call(stack):
    key, number = new_key(), numbers.ending(numbers.BUSY)
    first, again = [
        (await stack.api.post("/api/outbound_call", fields(stack, number, otp=otp), **{"Idempotency-Key": key}))
        .expect()
        .response["request_id"]
        for otp in ("1111", "2222")
    ]
    assert first == again, "the fingerprint leaves the password out"
    await stack.api.wait_ended(first)
    other = fields(stack, number, repeat="2")
    (await stack.api.post("/api/outbound_call", other, **{"Idempotency-Key": key})).expect(409)


WRONG = {
    "voice": ("Nobody", "voice"),
    "language_code": ("xx-YY", "language_code"),
    "rate": ("quick", "'x-slow','slow','medium','fast','x-fast'"),
    "pitch": ("deep", "'x-low','low','medium','high','x-high'"),
    "volume": ("noisy", "'silent','x-soft','soft','medium','loud','x-loud'"),
    "tts_engine_type": ("brain", "standard, neural"),
    "otp": ("19a7", "digits"),
    "repeat": ("0", "from 1 to 10"),
    "announce_template_id": ("AN0000000000", "approved"),
}


@pytest.mark.parametrize("name", WRONG)
async def test_what_is_wrong_is_named(stack, name):
    value, told = WRONG[name]
    reply = await stack.api.post("/api/outbound_call", fields(stack, numbers.plain(), **{name: value}))
    errors = reply.expect(422).json["response"]["errors"]
    assert errors.keys() == {name}
    assert told in errors[name] or name in {"voice", "language_code"}
    assert "19a7" not in reply.body.decode()


@pytest.mark.parametrize("name", ["customer_number", "otp", "announce_template_id", "caller_id"])
async def test_what_is_missing_is_named(stack, name):
    reply = await stack.api.post("/api/outbound_call", fields(stack, numbers.plain(), **{name: None}))
    assert reply.expect(422).json["response"]["errors"].keys() == {name}


@pytest.mark.parametrize(
    "otp", ["", " ", "12 34", "12-34", "１２３４", "1" * 33, True, 1.5, ["1"], "12\u00004", "<b>1</b>"]
)
async def test_what_no_password_can_be(stack, otp):
    reply = await stack.api.post("/api/outbound_call", fields(stack, numbers.plain(), otp=otp))
    assert reply.expect(422).json["response"]["errors"].keys() == {"otp"}


async def test_another_accounts_template_is_unknown(stack):
    body = fields(stack, numbers.plain())
    reply = await stack.api2.post("/api/outbound_call", body)
    assert reply.expect(422).json["response"]["errors"].keys() == {"announce_template_id"}


async def test_the_password_is_nowhere(stack):
    """Said, hung up on, refused, cancelled: the whole state folder has it nowhere, nor its sound."""
    passwords = [password() for _ in range(4)]
    endings = (numbers.SILENT, "3001", numbers.BUSY, numbers.RINGS_FOR_EVER)
    key = {"Idempotency-Key": new_key()}
    placed = []
    for otp, end in zip(passwords, endings, strict=True):
        body = fields(stack, numbers.ending(end), otp=otp, rate="x-fast")
        placed.append((await stack.api.post("/api/outbound_call", body, **(key if end == "3001" else {}))).expect())
    ids = [reply.response["request_id"] for reply in placed]
    await stack.api.wait_leg(ids[3], "customer", "ringing")
    (await stack.api.hang_up(ids[3])).expect(200)
    for request_id in ids:
        await stack.api.wait_ended(request_id, 60)
        shown = f"{await stack.api.call(request_id)} {await stack.api.events(request_id)}"
        assert not any(otp in shown for otp in passwords)
    assert traces(stack.state, ids), "what is written down is found"
    assert traces(stack.state, passwords) == []
    assert secret_sounds(stack.state) == []


async def test_killed_in_the_middle_it_is_closed_and_never_said_again(stack):
    """One that rings, one that listens: both are hung up on when the engine is back."""
    passwords = [password(), password()]
    rings, listens = numbers.ending(numbers.RINGS_FOR_EVER), numbers.ending(numbers.SILENT)
    ids = [await place(stack, number, otp=otp) for number, otp in zip((rings, listens), passwords, strict=True)]
    await stack.api.wait_leg(ids[0], "customer", "ringing")

    async def speaking():
        return "play.started" in [event["type"] for event in await stack.api.events(ids[1])]

    await eventually(speaking, within=60, what="play.started")
    assert len(secret_sounds(stack.state)) == 1
    pid = stack.kill("engine")
    await stack.wait_ready(but=pid)
    for request_id in ids:
        call = await stack.api.wait_ended(request_id)
        assert (call["result"], call["end_reason"]) == ("not_announced", "engine_restart")
        assert len(call["legs"]) == 1
        await stack.api.cdr(request_id)
    await stack.callee(listens)
    assert len(stack.calls_of(listens)) == 1
    assert traces(stack.state, passwords) == []
    assert secret_sounds(stack.state) == []


async def test_templates_are_drafts_until_they_are_approved(stack):
    made = (await stack.api.post("/api/otp_templates", {"name": "pin", "text": "{otp} is your pin"})).expect().response
    template = made["template"]
    path = f"/api/otp_templates/{made['id']}"
    assert (template["state"], template["otp_type"], template["approved_at"]) == ("draft", "digits", None)
    body = fields(stack, numbers.ending(numbers.BUSY), announce_template_id=made["id"])
    (await stack.api.post("/api/outbound_call", body)).expect(422)
    assert "approved" in await stack.trunkline("otp-templates", "approve", made["id"])
    done = (await stack.api.post("/api/outbound_call", body)).expect()
    await stack.api.wait_ended(done.response["request_id"])
    renamed = await stack.api.request("PATCH", path, body={"name": "other"})
    assert renamed.expect().response["template"]["state"] == "approved"
    changed = await stack.api.request("PATCH", path, body={"text": "your pin, {otp}, is secret"})
    assert changed.expect().response["template"]["state"] == "draft"
    (await stack.api.post("/api/outbound_call", body)).expect(422)
    assert made["id"] in [each["id"] for each in (await stack.api.get("/api/otp_templates")).response["templates"]]
    (await stack.api2.get(path)).expect(404)
    (await stack.api2.request("DELETE", path)).expect(404)
    (await stack.api.request("DELETE", path)).expect()
    (await stack.api.get(path)).expect(404)


@pytest.mark.parametrize(
    "text",
    ["Your code", "Code {otp} for {name}", "{otp} <b>now</b>", "{otp}" * 9, "{otp}" + "x" * 4000, "{otp} \u0007", ""],
)
async def test_templates_that_can_not_be_spoken(stack, text):
    reply = await stack.api.post("/api/otp_templates", {"name": "bad", "text": text})
    assert reply.expect(422).json["response"]["errors"].keys() == {"text"}


async def test_a_template_may_want_letters_and_have_a_language(stack):
    body = {"name": "de", "text": "Ihr Code ist {otp}", "language": "de-DE", "otp_type": "alphanumeric"}
    made = (await stack.api.post("/api/otp_templates", body)).expect().response["id"]
    await stack.trunkline("otp-templates", "approve", made)
    number = numbers.ending(numbers.SILENT)
    call, _, callee = await announced(stack, number, otp="A7K", announce_template_id=made)
    assert call["result"] == "announced"
    assert audio.speech_present(callee.samples)
    await stack.trunkline("otp-templates", "remove", made)


def traces(state: Path, passwords: list[str]) -> list[str]:
    """Files under the state folder in which, or in whose name, a password stands: plain, spelled, or as digits apart."""
    forms = [form.encode() for otp in passwords for form in (otp, ",, ".join(otp), " ".join(otp), "/".join(otp))]
    found = [str(path) for path in state.rglob("*") if any(form in path.name.encode() for form in forms)]
    for path in state.rglob("*"):
        if path.is_file() and not path.is_symlink() and path.stat().st_size:
            with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
                if any(content.find(form) >= 0 for form in forms):
                    found.append(str(path))
    return found


def secret_sounds(state: Path) -> list[Path]:
    return list((state / "engine").rglob("once-*"))
