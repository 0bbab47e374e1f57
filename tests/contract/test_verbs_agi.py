"""The verbs' suite, as far as the FastAGI door goes: the same tests, all at once, whose party has come by ``AGI()``."""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from engine import ids
from engine.errors import Unsupported
from engine.sessions.session import Session
from engine.telephony.ari.switch import AriSwitch
from engine.testkit import numbers
from engine.testkit.asterisks import asterisks
from engine.testkit.poll import eventually
from engine.verbs.bridge import join, talk
from engine.verbs.detect import Detect, detect
from engine.verbs.gather import Gather
from engine.verbs.play import play
from engine.verbs.record import record_sides
from engine.verbs.record_message import RecordMessage
from tests.contract import test_verbs as verbs
from tests.contract.agi_desk import AgiDesk
from tests.contract.verb_desk import up

Case = Callable[[AgiDesk, Path], Awaitable[None]]


def of(test: Callable[..., Awaitable[None]], *arguments: object) -> Case:
    """A test of the verbs' suite, with its parameters."""

    async def case(desk: AgiDesk, folder: Path) -> None:
        names = test.__code__.co_varnames[: test.__code__.co_argcount]
        given = {"desk": desk, "tmp_path": folder, "pair": desk.pair}
        free = iter(arguments)
        await test(*(given[name] if name in given else next(free) for name in names))

    return case


async def without_a_detector_or_ears(desk: AgiDesk, _folder: Path) -> None:
    async def flow(session: Session) -> None:
        leg = await up(session, numbers.ending(numbers.SILENT))
        for work in (
            lambda: detect(session, leg),
            lambda: record_sides(session, "customer", {"customer": leg}),
            lambda: session.switch.snoop(leg.channel_id, "x"),
            lambda: join(session, "tl-0123456789-b1", leg),
        ):
            with pytest.raises(Unsupported, match=r"Stasis\(\)"):
                await work()
        assert (await play(session, leg, "sound:beep")).completed, "the call goes on"

    await desk.run(flow)


async def detection_by_asterisk(desk: AgiDesk, _folder: Path) -> None:
    async def flow(session: Session) -> str:
        leg = await up(session, numbers.ending(numbers.SILENT))
        return (await detect(session, leg, Detect("amd", limit=4))).method

    assert (await desk.run(flow))[0] == "amd"


async def given_back(desk: AgiDesk, _folder: Path, *, after_a_talk: bool = False) -> None:
    async def flow(session: Session) -> str:
        leg = await up(session, numbers.ending(numbers.SILENT))
        if after_a_talk:
            other = await up(session, numbers.ending("3001"), role="target")
            bridge = ids.bridge_id(session.call.request_id)
            assert await join(session, bridge, leg, other)
            assert await talk(session, bridge, leg, other) is other
        session.result = "kept"
        return leg.channel_id

    channel, call = await desk.run(flow)
    await eventually(lambda: _came_back(desk, channel), within=60, what="channel behind AGI()")
    known = desk.back[channel]
    assert known["args"] == "return,agi,SUCCESS", "the dialplan went on behind AGI()"
    assert (known["TRUNKLINE_STATUS"], known["TRUNKLINE_RESULT"]) == ("over", "kept")
    assert float(known["TIMEOUT(absolute)"]) == 0
    assert call.legs[1].hangup_by == ("peer" if after_a_talk else "engine")


async def _came_back(desk: AgiDesk, channel: str) -> bool:
    return channel in desk.back


CASES = {
    "list": of(verbs.test_a_list_is_played_as_often_as_asked),
    "endless": of(verbs.test_a_loop_without_an_end_stops_when_told),
    "tone": of(verbs.test_a_tone_for_a_while),
    "no such file": of(verbs.test_what_can_not_be_played_is_not_completed),
    "say": of(verbs.test_say_text_digits_and_number),
    "gather": of(verbs.test_gather, "275", Gather(max_digits=3), "275", "digits"),
    "gather by a tone": of(verbs.test_gather, "275", Gather(("tone:ring",), max_digits=3), "275", "digits"),
    "gather by a prompt": of(verbs.test_gather, "275", Gather(("sound:vm-intro",), max_digits=3), "275", "digits"),
    "terminator": of(verbs.test_gather, "275", Gather(terminators="5"), "27", "terminator"),
    "inter-digit time": of(verbs.test_gather, "275", Gather(inter_digit_timeout=2.5), "275", "timeout"),
    "rest": of(verbs.test_what_one_gather_did_not_want_is_there_for_the_next_one),
    "flush": of(verbs.test_flush_forgets_what_was_pressed_before),
    "retries": of(verbs.test_prompts_again_for_who_presses_nothing),
    "no barge-in": of(verbs.test_without_barge_in_the_prompt_is_heard_to_its_end),
    "gone while gathering": of(verbs.test_who_hangs_up_while_gathering),
    "record": of(verbs.test_record_message, ("7001", RecordMessage(longest=2, beep=False), "longest", (1.1, 2.9))),
    "record until silence": of(
        verbs.test_record_message, ("6001", RecordMessage(20, 2, beep=False, shortest=0), "silence", (0, 1.0))
    ),
    "record until hang-up": of(verbs.test_record_message, ("3004", RecordMessage(beep=False), "hangup", (1.0, 4.9))),
    "record until a key": of(
        verbs.test_record_message,
        ("4125", RecordMessage(terminators="5", beep=False, silence=0, shortest=0.1), "terminator", (0.1, 2.4)),
    ),
    "beep": of(verbs.test_a_beep_is_heard_before_the_message),
    "ringback": of(verbs.test_what_the_caller_hears_meanwhile, "ringback"),
    "music": of(verbs.test_what_the_caller_hears_meanwhile, "music"),
    "media": of(verbs.test_what_the_caller_hears_meanwhile, ("sound:vm-goodbye",)),
    "giving up": of(verbs.test_the_caller_gives_up_by_a_key_or_by_leaving),
    "dtmf": of(verbs.test_send_dtmf_with_pauses),
    "hostile dtmf": of(verbs.test_keys_outside_the_alphabet, "1;2"),
    "silence": of(verbs.test_wait_for_silence),
    "hold music": of(verbs.test_music_on_hold),
    "mailbox": of(verbs.test_voicemail_leaves_a_message),
    "no mailbox": of(verbs.test_a_mailbox_that_is_not_there),
    "unsupported": without_a_detector_or_ears,
    "amd": detection_by_asterisk,
    "given back": given_back,
    "given back after a talk": partial(given_back, after_a_talk=True),
}


LEFT = "nothing is left"
AT_ONCE = 10
"""Calls. A key that is pressed while a starved machine is between two AGI commands is lost."""


@pytest.fixture(scope="module")
async def outcomes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    """Case → what it raised. They run at the same time: most of it is waiting."""
    desk = AgiDesk(None)
    where = await desk.open()
    async with asterisks(desk.app, where) as pair:
        desk.pair = pair
        desk.build(lambda sink: AriSwitch(pair.server, desk.app, sink))
        await desk.switch.start()
        await eventually(verbs.settled(desk), within=60, what="link")
        desk.watch_who_comes_back()
        room = asyncio.Semaphore(AT_ONCE)
        work = (_in_turn(room, case(desk, tmp_path_factory.mktemp("case"))) for case in CASES.values())
        with capture_logs():  # what is expected to fail is told at length otherwise, and others wait meanwhile
            done = await asyncio.gather(*work, return_exceptions=True)
        left = await asyncio.gather(eventually(lambda: _nothing(desk), within=60, what="end"), return_exceptions=True)
        channels = await desk.switch.channels()
        await desk.server.stop()
        await desk.switch.stop()
    if isinstance(left[0], BaseException):
        left[0].add_note(str(channels))
    return dict(zip((*CASES, LEFT), (*done, left[0]), strict=True))


async def _in_turn(room: asyncio.Semaphore, work: Awaitable[None]) -> None:
    async with room:
        await work


async def _nothing(desk: AgiDesk) -> bool:
    return not (await desk.switch.channels() or await desk.switch.bridges())


@pytest.mark.parametrize("case", [*CASES, LEFT])
async def test_behind_fastagi(outcomes: dict[str, object], case: str) -> None:
    if isinstance(error := outcomes[case], BaseException):
        raise error
