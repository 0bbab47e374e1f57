"""Callers behind the FastAGI door: a phone dials an extension whose dialplan is AGI(agi://…), and meets the same flows."""

import asyncio
import contextlib
import secrets
import signal

import pytest
import pytest_asyncio

from engine.testkit import audio
from engine.testkit.client import leg_of
from engine.testkit.poll import eventually
from tests.acceptance import menu_calls
from tests.acceptance.menu_calls import NUMBER, TONES

pytestmark = pytest.mark.asyncio(loop_scope="session")

MENU = f"*2444{NUMBER}"
DIAL, MESSAGE, NO_SUCH_FLOW = "*2442", "*2443", "*2445"


@pytest_asyncio.fixture(scope="module", loop_scope="session", autouse=True)
async def tones(stack):
    menu_calls.install(stack)
    await stack.trunkline("ivr", "reload")


@pytest_asyncio.fixture(loop_scope="session")
async def phone(stack):
    async with await stack.phone("102", tone=450) as phone:
        await phone.register()
        yield phone


async def begun(stack, caller="102"):
    async def look():
        live = await stack.api.calls("live")
        return next((call for call in live if (leg_of(call, "caller") or {}).get("number") == caller), None)

    return await eventually(look, within=60, what=f"call from {caller}")


async def ended(stack, request_id):
    """(call, CDR), both as the caller's channel in Asterisk's own record has it."""
    call = await stack.api.wait_ended(request_id)
    caller = leg_of(call, "caller")
    past = (await stack.ended_channels(caller["channel_id"]))[caller["channel_id"]]
    assert past.channel == caller["channel"]
    assert (past.answered_at is None) == (caller["answered_at"] is None)
    return call, await stack.api.cdr(request_id)


async def _recorded(mailbox, before):
    """A mailbox of ours keeps what is longer than 6 s."""
    return any(file.stat().st_size > 7 * 16_000 for file in set(mailbox.rglob("*.wav")) - before)


async def recorded_for(stack, request_id, seconds):
    """Asterisk has written so much of a message of that call."""
    folder = stack.state / "asterisk" / "spool" / "recording"

    async def look():
        return any(file.stat().st_size > seconds * 16_000 for file in folder.glob(f"tl-{request_id}-*.wav"))

    await eventually(look, within=60, what="message")


def tone(call, hz):
    async def look():
        return audio.tone_present(call.heard, hz, min_seconds=0.4)

    return eventually(look, within=60, what=f"{hz} Hz at the phone")


def hears(call, name):
    async def look():
        return audio.tone_seconds(call.heard, TONES[name]) > 0.3

    return eventually(look, within=60, what=f"{name} at the phone")


async def test_a_menu_is_heard_and_its_keys_are_taken(stack, phone):
    call = await phone.call(MENU)
    await call.answered()
    request_id = (await begun(stack))["request_id"]
    await hears(call, "choose")
    call.press("1")
    await hears(call, "one")
    call.press("9")
    await call.over()
    done, cdr = await ended(stack, request_id)
    story = await stack.api.story(request_id)
    assert (done["flow"], done["result"], done["end_reason"]) == ("ivr", "ended", "completed"), story
    assert (cdr["dtmf_inputs"], cdr["dial_status"]) == ("19", "ANSWER")
    leg = leg_of(done, "caller")
    assert (leg["number"], leg["hangup_by"]) == ("102", "engine")
    assert leg["channel_id"] not in leg["leg_id"]
    assert not leg["channel_id"].startswith("tl-"), "Asterisk's own uniqueid"


async def test_a_key_cuts_the_prompt_short(stack, phone):
    call = await phone.call(MENU)
    await call.answered()
    request_id = (await begun(stack))["request_id"]
    await hears(call, "hello")
    call.press("1")
    await hears(call, "one")
    call.press("9")
    await call.over()
    await ended(stack, request_id)
    assert audio.tone_seconds(call.heard, TONES["choose"]) < 0.3


async def test_a_message_is_recorded(stack, phone):
    call = await phone.call(MENU)
    await call.answered()
    request_id = (await begun(stack))["request_id"]
    await hears(call, "choose")
    call.press("3")
    await recorded_for(stack, request_id, seconds=2)
    call.press("#")
    await hears(call, "thanks")
    await call.over()
    done, cdr = await ended(stack, request_id)
    recording = await stack.api.recording(done["recording_name"])
    (samples,) = audio.decode(recording.body)
    assert audio.tone_present(samples, 450, min_seconds=1)
    assert cdr["recording_name"] == done["recording_name"]


async def test_a_message_is_left_in_a_mailbox(stack, phone):
    inbox = stack.state / "asterisk" / "spool" / "voicemail" / "default" / "102" / "INBOX"
    before = set(inbox.glob("*.wav"))
    call = await phone.call(MESSAGE)
    await call.answered()
    request_id = (await begun(stack))["request_id"]
    await eventually(lambda: _not_silent(call), within=60, what="the beep")
    await eventually(lambda: _recorded(inbox.parent, before), within=60, what="message of 7 s")
    call.press("#")
    await call.over()
    done, _ = await ended(stack, request_id)
    assert (done["flow"], done["result"]) == ("voicemail", "left"), await stack.api.story(request_id)
    (message,) = set(inbox.glob("*.wav")) - before
    assert audio.tone_present(audio.load(message)[0], 450, min_seconds=1)


async def test_dialled_through_to_another_phone(stack, phone):
    async with await stack.phone("101", tone=620) as other:
        await other.register()
        call = await phone.call(f"{DIAL}101")
        incoming = await other.next_call()
        assert incoming.number == "102"
        await call.answered()
        request_id = (await begun(stack))["request_id"]
        await stack.api.wait_state(request_id, "talking")
        await asyncio.gather(tone(call, 620), tone(incoming, 450))
        await incoming.hang_up()
        await call.over()
    done, cdr = await ended(stack, request_id)
    assert (cdr["dialed_number"], cdr["dial_status"], done["end_reason"]) == ("101", "ANSWER", "completed")
    assert [(leg["role"], leg["hangup_by"]) for leg in done["legs"]] == [("caller", "peer"), ("target", "callee")]


async def test_who_was_dialled_is_busy(stack, phone):
    async with await stack.phone("101", auto=None) as other:
        await other.register()
        call = await phone.call(f"{DIAL}101")
        request_id = (await begun(stack))["request_id"]
        (await other.next_call()).reject(486)
        assert await call.over() == 486
    done, cdr = await ended(stack, request_id)
    assert (cdr["dial_status"], done["end_reason"]) == ("BUSY", "busy")


STEPS = {"ringing": "103", "hello": "104", "choose": "105", "waiting": "106", "message": "107", "dialling": "108",
         "talking": "109", "voicemail": "110"}  # fmt: skip
"""What the caller is about when it hangs up → its extension."""


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def hung_up(stack, tones):
    """Step → (call, CDR), all at the same time."""
    outcomes = await asyncio.gather(*(_hang_up(stack, step) for step in STEPS), return_exceptions=True)
    return dict(zip(STEPS, outcomes, strict=True))


async def _hang_up(stack, step):
    number = {"ringing": f"{DIAL}102", "talking": f"{DIAL}101", "voicemail": MESSAGE}.get(step, MENU)
    other = None
    async with contextlib.AsyncExitStack() as phones:
        phone = await phones.enter_async_context(await stack.phone(STEPS[step], tone=450))
        await phone.register()
        if number.startswith(DIAL):
            answers = None if step == "ringing" else 0.1
            other = await phones.enter_async_context(await stack.phone(number.removeprefix(DIAL), auto=answers))
            await other.register()
        call = await phone.call(number)
        request_id = (await begun(stack, STEPS[step]))["request_id"]
        await _until(stack, call, other, request_id, step)
        await call.hang_up()
        return await ended(stack, request_id)


@pytest.mark.parametrize("step", STEPS)
async def test_the_caller_may_hang_up_at_any_step(stack, hung_up, step):
    if isinstance(hung_up[step], BaseException):
        raise hung_up[step]
    done, cdr = hung_up[step]
    story = await stack.api.story(done["request_id"])
    assert leg_of(done, "caller")["hangup_by"] == "caller", story
    given_up = step in ("ringing", "dialling")
    assert done["end_reason"] == ("cancelled" if given_up else "completed"), story
    assert cdr["dial_status"] == ("CANCEL" if given_up else "ANSWER")


async def _until(stack, call, other, request_id, step):
    match step:
        case "ringing":
            await call.wait(180)
            await other.next_call()
        case "talking":
            await stack.api.wait_state(request_id, "talking")
        case "voicemail":
            await call.answered()
            await eventually(lambda: _not_silent(call), within=60, what="the beep")
        case "hello" | "choose":
            await hears(call, step)
        case "waiting":
            await hears(call, "choose")
            await asyncio.sleep(0.3)  # into the time that a key is waited for
        case "message":
            await hears(call, "choose")
            call.press("3")
            await recorded_for(stack, request_id, seconds=0.3)
        case "dialling":
            await hears(call, "choose")
            call.press("7")
            await stack.api.wait_leg(request_id, "target", "ringing")


async def _not_silent(call):
    return not audio.is_silent(call.heard)


async def test_a_flow_that_nobody_knows(stack, phone):
    call = await phone.call(NO_SUCH_FLOW)
    request_id = (await begun(stack))["request_id"]
    await call.over(within=60)
    assert audio.speech_present(call.heard)
    done, _ = await ended(stack, request_id)
    assert (done["flow"], done["end_reason"]) == ("no_such_flow", "error")
    refused = [e for e in await stack.api.events(done["request_id"]) if e["type"] == "call.refused"]
    assert refused[0]["data"]["rule"] == "flow"


async def test_strangers_at_the_port_harm_nobody(stack, phone):
    call = await phone.call(MENU)
    await call.answered()
    request_id = (await begun(stack))["request_id"]
    reply = await stack.api.post(f"/api/calls/{request_id}/control", {"action": "hold"})
    assert (reply.status, "FastAGI" in reply.response["message"]) == (409, True)
    host, _, port = stack.json["fastagi"].rpartition(":")
    for hostile in (b"", b"\n", b"GET / HTTP/1.1\r\n\r\n", secrets.token_bytes(4096), b"agi_x: " + b"y" * 100_000,
                    b"agi_network: yes\n" * 5000, b"agi_network: yes\n\n", b"agi_request: agi://x/y"):  # fmt: skip
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(hostile)
        writer.write_eof()
        async with asyncio.timeout(60):
            with contextlib.suppress(ConnectionError):
                assert await reader.read() == b""
        writer.close()
    await hears(call, "choose")
    call.press("9")
    await call.over()
    await ended(stack, request_id)


async def test_the_engine_dies_the_dialplan_goes_on_and_a_talk_too(stack, phone):
    async with await stack.phone("103", tone=530) as third, await stack.phone("101", tone=620) as other:
        await asyncio.gather(third.register(), other.register())
        call, talk = await phone.call(MENU), await third.call(f"{DIAL}101")
        await asyncio.gather(call.answered(), talk.answered())
        request_id, talking = [(await begun(stack, caller))["request_id"] for caller in ("102", "103")]
        await stack.api.wait_state(talking, "talking")
        await hears(call, "hello")
        old = stack.kill("engine", signal.SIGKILL)
        await eventually(lambda: _speaks(call), within=60, what="the announcement of the fallback")
        await call.over(within=60)
        await stack.wait_ready(but=old)
        done = await stack.api.wait_ended(request_id)
        assert (done["end_reason"], done["reconciled"]) == ("engine_restart", True), await stack.api.story(request_id)
        before = len(talk.heard)
        await eventually(lambda: _more(talk, before), within=60, what="the other's voice")
        await stack.api.wait_state(talking, "talking")
        await other.arrived[0].hang_up()
        await talk.over()
    done, cdr = await ended(stack, talking)
    assert (cdr["dialed_number"], cdr["dial_status"], done["end_reason"]) == ("101", "ANSWER", "completed")
    assert [leg["hangup_by"] for leg in done["legs"]] == ["peer", "callee"], await stack.api.story(talking)


async def _more(call, before):
    return audio.tone_present(call.heard[before:], 620, min_seconds=0.4)


async def _speaks(call):
    return audio.speech_present(call.heard)
