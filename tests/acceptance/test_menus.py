"""Callers in menus: every key, silence, wrong keys, hang-ups at each step, opening hours, messages, other parties."""

import asyncio
import email
import email.policy
import signal

import pytest
import pytest_asyncio

from engine.testkit import audio, numbers
from engine.testkit.poll import eventually
from tests.acceptance import menu_calls
from tests.acceptance.menu_calls import EXTENSION, HASTY, HASTY_MENU, MENU, NUMBER, TONES, walk

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest_asyncio.fixture(scope="module", loop_scope="session", autouse=True)
async def tones(stack):
    menu_calls.install(stack)
    menu_calls.install(stack, HASTY_MENU, "hasty")
    await stack.trunkline("ivr", "reload")
    await _known(stack)
    yield
    (stack.state / "menus" / "hasty.yaml").unlink()


async def _known(stack, number=NUMBER):
    """The engine has read the menus: a call to the number meets one."""

    async def look():
        done = await walk(stack, script=[(0.2, "9")], called=number)
        return done.call["flow"] == "ivr"

    await eventually(look, within=60, what="menu")


async def test_a_key_does_what_it_says_and_the_menu_is_heard_again(stack):
    done = await walk(stack, script=[(3, "1"), (3, "9")])
    assert done.heard("hello", "choose", "one"), done.story
    assert done.count("hello") == 1
    assert (done.call["flow"], done.call["direction"], done.call["result"]) == ("ivr", "inbound", "ended")
    assert (done.call["end_reason"], done.call["step"]) == ("completed", "menu:tones")
    assert done.cdr["destination_context"] == "inbound"
    assert done.cdr["dtmf_inputs"] == "19"


async def test_a_key_cuts_the_prompt_short(stack):
    done = await walk(stack, script=[(0.2, "1"), (0.2, "9")])
    assert not done.heard("choose")
    assert done.heard("one"), done.story


async def test_a_third_missing_key_ends_it(stack):
    done = await walk(stack, called=HASTY)
    assert done.call["result"] == "no_choice", done.story
    assert (done.count("choose"), done.count("missing"), done.count("hello")) == (3, 3, 1)
    assert done.heard("bye")


async def test_a_third_invalid_key_ends_it(stack):
    done = await walk(stack, script=[(3, "8"), (3, "8"), (3, "8")])
    assert done.call["result"] == "no_choice", done.story
    assert done.count("invalid") == 3
    assert done.count("missing") == 0
    assert done.heard("bye")


async def test_who_asks_for_it_is_called_back(stack):
    """The agent first, then the caller, when its own call is over."""
    done = await walk(stack, script=[(0.3, "0")])
    caller = done.call["legs"][0]["number"]

    async def called_back():
        live = [call for call in await stack.api.calls("live") if call["flow"] == "callback"]
        return next((c for c in live if [leg["number"] for leg in c["legs"]] == [menu_calls.AGENT, caller]), None)

    call = await eventually(called_back, within=60, what="call-back")
    (await stack.api.hang_up(call["request_id"])).expect(200)
    await stack.api.wait_ended(call["request_id"])
    assert done.heard("thanks"), done.story


async def test_a_menu_within_and_back(stack):
    done = await walk(stack, script=[(0.3, "2"), (3, "1"), (2, "9")])
    steps = [e["data"]["step"] for e in await stack.api.events(done.call["request_id"]) if e["type"] == "call.step"]
    assert steps == ["menu:tones", "menu:tones.inner", "menu:tones"]
    assert done.heard("inner")


async def test_nobody_is_there_after_hours(stack):
    done = await walk(stack, script=[(0.3, "4")])
    assert done.heard("closed"), done.story
    assert not done.heard("open")


@pytest.mark.parametrize(
    ("script", "after"),
    [((), 0.3), ((), 1.0), ((), 1.7), ([(0.3, "1")], 1.0), ([(0.3, "2")], 1.3), ([(0.3, "3")], 5.0), ([(0.3, "7")], 4.0)],
    ids=["greeting", "prompt", "waiting", "announcement", "inner", "message", "dialling"],
)  # fmt: skip
async def test_a_caller_may_hang_up_at_any_step(stack, script, after):
    done = await walk(stack, script=script, hangup_after=after)
    dialling = bool(script) and script[0][1] == "7"
    assert done.call["end_reason"] == ("cancelled" if dialling else "completed")
    assert done.call["result"] == ("message" if script and script[0][1] == "3" else "left"), done.story
    assert done.call["legs"][0]["hangup_by"] == "caller"


async def test_a_message_is_kept_and_sent(stack):
    caller = numbers.plain()
    stack.dial_in(NUMBER, caller, script=[(0.3, "3"), (5.0, "#")])
    call = await menu_calls.begun(stack, caller)
    done = await menu_calls.over(stack, caller, call["request_id"])
    assert done.heard("thanks"), done.story
    name = done.call["recording_name"]
    recording = await stack.api.recording(name)
    (samples,) = audio.decode(recording.body)
    assert audio.tone_present(samples, numbers.tone_hz(caller), min_seconds=1)
    assert done.cdr["recording_name"] == name

    async def look():
        sent = [path.read_bytes() for path in (stack.state / "engine" / "mail" / "sent").glob("*.eml")]
        return next((raw for raw in sent if caller.encode() in raw), None)

    letter = email.message_from_bytes(await eventually(look, within=60, what="letter"), policy=email.policy.default)
    assert letter["To"] == "someone@example.com"
    (attached,) = letter.iter_attachments()
    assert attached.get_content() == recording.body


async def test_a_message_is_left_in_a_mailbox(stack):
    done = await walk(stack, script=[(0.3, "#"), (9, "#"), (1.5, "9")])
    assert done.call["result"] == "ended", done.story
    (message,) = (stack.state / "asterisk" / "spool" / "voicemail" / "default" / "103" / "INBOX").glob("*.wav")
    (samples,) = audio.load(message)
    caller = done.call["legs"][0]["number"]
    assert audio.tone_present(samples, numbers.tone_hz(caller), min_seconds=5)


async def test_extension_101_by_the_menu_of_the_stack(stack):
    caller = numbers.plain()
    async with await stack.phone("101", tone=450) as phone:
        await phone.register()
        stack.dial_in("15557000001", caller, script=[(0.5, "0")])
        incoming = await phone.next_call()
        await incoming.answered()
        await asyncio.sleep(2)  # the length of the talk
        await incoming.hang_up()
        call = await menu_calls.begun(stack, caller)
        done = await menu_calls.over(stack, caller, call["request_id"])
    assert audio.tone_present(done.samples, 450, min_seconds=0.5)
    assert done.cdr["dial_status"] == "ANSWER"


async def test_targets_ring_in_turn_and_hear_the_whisper(stack):
    caller = numbers.plain()
    async with await stack.phone("101", tone=450) as phone:
        await phone.register()
        stack.dial_in(NUMBER, caller, script=[(0.3, "5")])
        incoming = await phone.next_call()
        assert incoming.number == caller
        await incoming.answered()
        await eventually(lambda: _hears(incoming, "whisper"), within=60, what="the whisper")
        await eventually(lambda: _tone(incoming, caller), within=60, what="the caller")
        await asyncio.sleep(1.5)  # the length of the talk
        await incoming.hang_up()
        call = await menu_calls.begun(stack, caller)
        done = await menu_calls.over(stack, caller, call["request_id"])
    assert done.call["result"] == "connected", done.story
    assert [leg["number"] for leg in done.call["legs"]] == [caller, "105", "101"]
    assert audio.tone_present(incoming.heard, TONES["whisper"], min_seconds=0.3)
    assert audio.tone_present(incoming.heard, numbers.tone_hz(caller), min_seconds=0.5)
    assert audio.tone_present(done.samples, 450, min_seconds=0.5)
    assert not done.heard("whisper")
    assert (done.cdr["dialed_number"], done.cdr["dial_status"]) == ("101", "ANSWER")


async def test_all_targets_ring_at_once_and_the_first_has_it(stack):
    done = await walk(stack, script=[(0.3, "*")], hangup_after=7)
    assert done.call["result"] == "connected", done.story
    rings, answers = (leg for leg in done.call["legs"] if leg["role"] == "target")
    assert (rings["number"], rings["answered_at"], rings["hangup_by"]) == (menu_calls.RINGS, None, "engine")
    assert (answers["number"], answers["state"]) == (menu_calls.ANSWERS, "ended")
    assert rings["ended_at"] < answers["ended_at"]
    assert audio.tone_present(done.samples, numbers.tone_hz(menu_calls.ANSWERS), min_seconds=0.5)


async def test_nobody_answers(stack):
    done = await walk(stack, script=[(0.3, "5")])
    assert done.heard("bye"), done.story
    assert done.call["result"] == "ended"


async def test_a_phone_of_ours_dials_the_menus_extension(stack):
    async with await stack.phone("102") as phone:
        await phone.register()
        call = await phone.call(EXTENSION)
        await call.answered()
        await eventually(lambda: _hears(call, "choose"), within=60, what="prompt")
        call.press("1")
        await eventually(lambda: _hears(call, "one"), within=60, what="announcement")
        call.press("9")
        await call.over()


async def _tone(call, number):
    return audio.tone_present(call.heard, numbers.tone_hz(number), min_seconds=0.5)


async def _hears(call, name):
    return audio.tone_seconds(call.heard, TONES[name]) > 0.3


async def test_the_python_flow_of_call_tracking_does_the_same(stack):
    caller = numbers.plain()
    async with await stack.phone("101", tone=450) as phone:
        await phone.register()
        stack.dial_in(NUMBER, caller, script=[(0.3, "6")])
        incoming = await phone.next_call()
        await incoming.answered()
        await eventually(lambda: _tone(incoming, caller), within=60, what="the caller, after the whisper")
        await incoming.hang_up()
        call = await menu_calls.begun(stack, caller)
        done = await menu_calls.over(stack, caller, call["request_id"])
    assert done.call["result"] == "connected", done.story
    assert audio.speech_present(incoming.heard)
    assert audio.tone_present(incoming.heard, numbers.tone_hz(caller), min_seconds=0.5)


async def test_a_route_leads_a_number_to_a_menu_by_name(stack):
    await stack.trunkline("routes", "add", "15557000778", "flow", "ivr:tones")

    async def led():
        done = await walk(stack, called="15557000778", script=[(0.3, "1"), (1.0, "9")])
        return done if done.call["flow"] != "unknown_number" else None

    done = await eventually(led, within=60, what="a call led by the route, which the engine hears of a moment later")
    assert done.heard("one"), done.story


async def test_a_reload_leaves_live_calls_the_menu_they_began_with(stack):
    caller = numbers.plain()
    stack.dial_in(NUMBER, caller, script=[(0.3, "2"), (8, "1"), (1, "1"), (3, "9")])
    call = await menu_calls.begun(stack, caller)
    try:
        menu_calls.install(stack, MENU.replace("play: one", "play: new"))
        log = stack.state / "log" / "engine.log"
        before = log.read_text().count("menus_rendered")
        assert "asked" in await stack.trunkline("ivr", "reload")
        await eventually(lambda: _read(log, before), within=60, what="the engine having read its menus")
        fresh = await walk(stack, script=[(0.3, "1"), (2, "9")])
        done = await menu_calls.over(stack, caller, call["request_id"])
    finally:
        menu_calls.install(stack)
        await stack.trunkline("ivr", "reload")
    assert fresh.heard("new"), fresh.story
    assert not fresh.heard("one")
    assert done.heard("one"), done.story
    assert not done.heard("new")


async def test_sighup_reads_menus_and_a_mistake_changes_nothing(stack):
    pid = stack.engine_pid
    menu_calls.install(stack, "number: 15557000779\nfirst: [play: one, hangup]\n", "second")
    stack.kill("engine", signal.SIGHUP)
    await _known(stack, "15557000779")
    path = stack.state / "menus" / "second.yaml"
    try:
        path.write_text("first: [plai: one]\n")
        stack.kill("engine", signal.SIGHUP)
        log = stack.state / "log" / "engine.log"
        await eventually(lambda: _told(log, f"{path}:1: first.0.plai"), within=60, what="the mistake in the log")
        done = await walk(stack, called="15557000779")
        assert done.heard("one"), done.story
    finally:
        path.unlink()
    assert stack.engine_pid == pid


async def _read(log, times):
    """Menus were read, and rendered, more often than that."""
    return log.read_text().count("menus_rendered") > times


async def _told(log, text):
    return text in log.read_text()


# -- the menu that ships -----------------------------------------------------------------------------------------------


async def test_the_menu_of_the_stack_speaks_and_says_goodbye(stack):
    number = stack.json["numbers"]["ivr"]
    done = await walk(stack, called=number, script=[(1.0, "1"), (4.0, "9")])
    assert done.call["step"] == "menu:welcome"
    assert audio.speech_present(done.samples, min_seconds=3)
    assert done.call["result"] == "ended", done.story


async def test_the_menu_of_the_stack_takes_a_message(stack):
    done = await walk(stack, called="15557000001", script=[(0.5, "2")], hangup_after=9)
    assert done.call["result"] == "message", done.story
    recording = await stack.api.recording(done.call["recording_name"])
    (samples,) = audio.decode(recording.body)
    assert audio.tone_present(samples, numbers.tone_hz(done.call["legs"][0]["number"]), min_seconds=1)
