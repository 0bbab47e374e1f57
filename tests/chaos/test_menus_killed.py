"""``kill -9`` of the engine while callers are in menus: they come back to where they were."""

import pytest

from engine.testkit import numbers
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

    await eventually(look, within=30, what=step, tell=lambda: stack.api.story(request_id))


async def test_the_last_menu_is_entered_again(stack):
    await killed(stack)  # it reads the menus
    caller = numbers.plain()
    stack.dial_in(menu_calls.NUMBER, caller, script=[(0.5, "2"), (8, "1"), (1.5, "9")])
    call = await menu_calls.begun(stack, caller)
    await step_is(stack, call["request_id"], "menu:tones.inner")
    await killed(stack)
    done = await menu_calls.over(stack, caller, call["request_id"])
    assert done.call["result"] == "ended", done.story
    events = await stack.api.events(call["request_id"])
    steps = [each["data"]["step"] for each in events if each["type"] == "call.step"]
    assert steps == ["menu:tones", "menu:tones.inner", "menu:tones"]
    later = events[[each["type"] for each in events].index("call.adopted") :]
    (first, *_) = [each["data"]["media"] for each in later if each["type"] == "play.started"]
    assert [media.rpartition("/")[2] for media in first] == ["inner"]
    assert done.heard("inner")
    assert done.count("hello") <= 1


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

    await eventually(recording, within=30, what="message")
    await killed(stack)
    done = await menu_calls.over(stack, caller, call["request_id"])
    assert done.call["recording_name"], done.story
    assert (await stack.api.recording(done.call["recording_name"])).status == 200
