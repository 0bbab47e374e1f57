"""``kill -9`` of the engine while callers are in menus: they come back to where they were."""

import pytest

from engine.testkit import audio, numbers
from engine.testkit.client import leg_of
from engine.testkit.poll import eventually
from tests.acceptance import menu_calls

pytestmark = [pytest.mark.usefixtures("no_leaks"), pytest.mark.asyncio(loop_scope="session")]


@pytest.fixture(scope="module", autouse=True)
def tones(stack):
    menu_calls.install(stack)


async def killed(stack):
    pid = stack.kill("engine")
    await stack.wait_ready(but=pid)


async def step_is(stack, request_id, step):
    async def look():
        return (await stack.api.call(request_id))["step"] == step

    await eventually(look, within=60, what=step, tell=lambda: stack.api.story(request_id))


async def live(stack, caller):
    """The call of a phone of ours, which may have made others before."""

    async def look():
        return next((c for c in await stack.api.calls() if (leg_of(c, "caller") or {}).get("number") == caller), None)

    return await eventually(look, within=60, what=f"call from {caller}")


async def heard(line, name, since):
    """The phone has heard that prompt behind so many samples."""

    async def look():
        return audio.tone_seconds(line.heard[since:], menu_calls.TONES[name]) >= menu_calls.LASTS / 2

    await eventually(look, within=60, what=name)


async def test_the_last_menu_is_entered_again(stack):
    await killed(stack)  # it reads the menus
    async with await stack.phone("102") as phone:
        await phone.register()
        line = await phone.call(menu_calls.EXTENSION)
        await line.answered()
        call = await live(stack, "102")
        line.press("2")
        await step_is(stack, call["request_id"], "menu:tones.inner")
        await heard(line, "inner", 0)
        await killed(stack)
        await heard(line, "inner", len(line.heard))
        line.press("1")
        await step_is(stack, call["request_id"], "menu:tones")
        line.press("9")
        await line.over()
    story = await stack.api.story(call["request_id"])
    assert (await stack.api.wait_ended(call["request_id"]))["result"] == "ended", story
    events = await stack.api.events(call["request_id"])
    steps = [each["data"]["step"] for each in events if each["type"] == "call.step"]
    assert steps == ["menu:tones", "menu:tones.inner", "menu:tones"]
    later = events[[each["type"] for each in events].index("call.adopted") :]
    (first, *_) = [each["data"]["media"] for each in later if each["type"] == "play.started"]
    assert [media.rpartition("/")[2] for media in first] == ["inner"]
    assert audio.tone_seconds(line.heard, menu_calls.TONES["hello"]) < 1.5 * menu_calls.LASTS, story


async def test_whoever_talks_goes_on_talking(stack):
    caller = numbers.plain()
    async with await stack.phone("101", tone=450) as phone:
        await phone.register()
        stack.dial_in(menu_calls.NUMBER, caller, script=[(0.5, "5")])
        call = await menu_calls.begun(stack, caller)
        incoming = await phone.next_call()
        await incoming.answered()
        await stack.api.wait_state(call["request_id"], "talking")
        await killed(stack)
        assert (await stack.api.call(call["request_id"]))["state"] == "talking"
        await incoming.hang_up()
        done = await menu_calls.over(stack, caller, call["request_id"])
    assert done.call["result"] == "connected", done.story
    assert [leg["number"] for leg in done.call["legs"]] == [caller, "105", "101"]


async def test_a_message_that_was_begun_is_kept(stack):
    caller = numbers.plain()
    stack.dial_in(menu_calls.NUMBER, caller, script=[(0.5, "3"), (9, ""), (0.1, "9")])
    call = await menu_calls.begun(stack, caller)

    async def recording():
        return "recording.started" in [each["type"] for each in await stack.api.events(call["request_id"])]

    await eventually(recording, within=60, what="message")
    await killed(stack)
    done = await menu_calls.over(stack, caller, call["request_id"])
    assert done.call["recording_name"], done.story
    assert (await stack.api.recording(done.call["recording_name"])).status == 200
