"""One suite for the verbs, run on the fake and on a real Asterisk whose callees are the simulator's."""

import asyncio
import random
import wave
from collections.abc import AsyncIterator
from dataclasses import replace
from itertools import count
from pathlib import Path

import pytest

from engine.calls import disposition
from engine.calls.record import records
from engine.errors import UnsafeValue
from engine.sessions.session import Session
from engine.telephony.ari.switch import AriSwitch
from engine.telephony.fake import Callee, FakeSwitch, by_number
from engine.testkit import audio, numbers
from engine.testkit.asterisks import Asterisks, asterisks
from engine.testkit.poll import eventually
from engine.verbs import keys
from engine.verbs import present as present_module
from engine.verbs.answer import answer
from engine.verbs.dial_many import DialMany, Target, dial_many
from engine.verbs.gather import Gather, gather
from engine.verbs.hangup import hangup
from engine.verbs.hold_music import hold_music, music_for
from engine.verbs.play import play, tone
from engine.verbs.present import present
from engine.verbs.record_message import RecordMessage, record_message
from engine.verbs.say import Say, say
from engine.verbs.say_number import say_digits, say_number
from engine.verbs.send_dtmf import send_dtmf
from engine.verbs.voicemail import voicemail
from engine.verbs.wait_for_silence import wait_for_silence
from tests.contract.verb_desk import CALLER_ID, INBOUND, Desk, up

APP = "trunkline-verbs"
SERIAL = count(1)


@pytest.fixture(scope="module", params=["fake", "asterisk"])
async def pair(request: pytest.FixtureRequest) -> AsyncIterator[Asterisks | None]:
    """None stands for the fake."""
    if request.param == "fake":
        yield None
        return
    async with asterisks(APP) as both:
        yield both


@pytest.fixture
async def desk(pair: Asterisks | None) -> AsyncIterator[Desk]:
    made = Desk(pair)
    made.build(
        lambda sink: (
            FakeSwitch("asterisk", sink, callee=scripted) if pair is None else AriSwitch(pair.server, APP, sink)
        )
    )
    await made.switch.start()
    await eventually(settled(made), within=60, what="link")
    yield made

    async def gone() -> bool:
        return not (await made.switch.bridges() or await made.switch.channels())

    await eventually(gone, within=10, what="Asterisk without channels and bridges")  # lists lag behind events
    await made.switch.stop()
    if pair is not None:
        await pair.forgets(APP)


def settled(desk: Desk):
    async def look() -> bool:
        return bool(desk.registry.settled)

    return look


def scripted(endpoint: str) -> Callee:
    """As the simulator, and its silent human."""
    return Callee(silent=True) if endpoint.partition("@")[0].endswith("6001") else by_number(endpoint)


over_asterisk = pytest.mark.parametrize("pair", ["asterisk"], indirect=True)
"""What the fake, which has no sound, can't show."""


# -- play, say ---------------------------------------------------------------------------------------------------------


async def test_a_list_is_played_as_often_as_asked(desk):
    number = numbers.ending(numbers.SILENT)

    async def flow(session: Session):
        leg = await up(session, number)
        return await play(session, leg, "sound:beep", "sound:digits/1", times=3)

    played, _ = await desk.run(flow)
    assert played.completed
    if desk.real:
        heard = await desk.heard(number)
        assert 1.5 < audio.duration(heard.samples) < 30


async def test_a_loop_without_an_end_stops_when_told(desk):
    async def flow(session: Session):
        leg = await up(session, numbers.ending("4275"))
        return await play(session, leg, "sound:beep", times=None, stop_when=lambda: len(leg.dtmf) > 1), leg.dtmf

    (played, dtmf), _ = await desk.run(flow)
    assert not played.completed
    assert len(dtmf) >= 2


async def test_a_tone_for_a_while(desk):
    number = numbers.ending(numbers.SILENT)

    async def flow(session: Session):
        leg = await up(session, number)
        return await tone(session, leg, "busy", 1.5)

    played, _ = await desk.run(flow)
    assert played.completed
    if desk.real:
        assert audio.tone_present((await desk.heard(number)).samples, 480, 620)


@over_asterisk
async def test_what_can_not_be_played_is_not_completed(desk):

    async def flow(session: Session):
        leg = await up(session, numbers.ending(numbers.SILENT))
        return await play(session, leg, "sound:there-is-no-such-file", longest=1)

    played, _ = await desk.run(flow)
    assert not played.completed


async def test_say_text_digits_and_number(desk):
    number = numbers.ending(numbers.SILENT)

    async def flow(session: Session):
        leg = await up(session, number)
        return [
            await say(session, leg, "Good bye", voice="Brian", rate="slow"),
            await say_digits(session, leg, "10#"),
            await say_number(session, leg, 21),
        ]

    said, _ = await desk.run(flow)
    assert [each.completed for each in said] == [True] * 3
    if desk.real:
        assert audio.speech_present((await desk.heard(number)).samples, min_seconds=1)


async def test_present_with_the_first_packet_or_after_a_while(desk, monkeypatch):
    real_or_not = numbers.plain(), numbers.ending(numbers.SILENT)
    patience = present_module.PATIENCE
    monkeypatch.setattr(present_module, "PATIENCE", 5.0)

    async def flow(session: Session):
        waited = []
        for n, number in enumerate(real_or_not, start=1):
            leg = await up(session, number, attempt=n)
            assert await present(session, leg)
            waited.append((session.services.now() - leg.answered_at).total_seconds())
            monkeypatch.setattr(present_module, "PATIENCE", patience)
        return waited

    (talks, silent), _ = await desk.run(flow)
    assert talks < 5, "with its first packet"
    assert patience == 0.5
    if not desk.real:
        assert 0.5 <= silent < 5


# -- gather ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pressed", "options", "digits", "reason"),
    [
        ("275", Gather(max_digits=3), "275", "digits"),
        ("275", Gather(max_digits=2), "27", "digits"),
        ("275", Gather(terminators="5"), "27", "terminator"),
        ("275", Gather(inter_digit_timeout=2.5), "275", "timeout"),
        ("275", Gather(terminators="2"), "", "terminator"),
        ("275", Gather(("tone:ring",), max_digits=3), "275", "digits"),
        ("", Gather(total_timeout=0.3), "", "timeout"),
    ],
)
async def test_gather(desk, pressed, options, digits, reason):
    async def flow(session: Session):
        leg = await up(session, numbers.ending(f"4{pressed}" if pressed else numbers.SILENT))
        return await gather(session, leg, options)

    gathered, _ = await desk.run(flow)
    assert (gathered.digits, gathered.reason) == (digits, reason)


async def test_what_one_gather_did_not_want_is_there_for_the_next_one(desk):
    async def flow(session: Session):
        leg = await up(session, numbers.ending("4275"))
        first = await gather(session, leg, Gather(max_digits=1))
        await session.until(lambda: len(leg.dtmf) == 3, 30)
        rest = await gather(session, leg, Gather(("tone:ring",), max_digits=2))
        assert keys.unread(session, leg) == ""
        none = await gather(session, leg, Gather(first_timeout=0.1))
        return first.digits, rest.digits, none.reason

    assert (await desk.run(flow))[0] == ("2", "75", "timeout")


async def test_flush_forgets_what_was_pressed_before(desk):
    async def flow(session: Session):
        leg = await up(session, numbers.ending("4275"))
        await session.until(lambda: len(leg.dtmf) == 3, 30)
        return await gather(session, leg, Gather(flush=True, first_timeout=0.1))

    assert (await desk.run(flow))[0].digits == ""


async def test_prompts_again_for_who_presses_nothing(desk):
    async def flow(session: Session):
        leg = await up(session, numbers.ending(numbers.SILENT))
        return await gather(session, leg, Gather(("sound:beep", Say("Press a key")), first_timeout=0.1, retries=2))

    gathered, call = await desk.run(flow)
    assert (gathered.reason, gathered.tries) == ("timeout", 3)
    timeline = desk.memory.calls[call.request_id].timeline
    assert len([event for event in timeline if event.kind == "play.started"]) == 3


@over_asterisk
async def test_without_barge_in_the_prompt_is_heard_to_its_end(desk):

    async def flow(session: Session):
        leg = await up(session, numbers.ending("4275"))
        gathered = await gather(session, leg, Gather(("sound:vm-intro",), max_digits=3, barge_in=False))
        return gathered.digits

    digits, call = await desk.run(flow)
    assert digits == "275"
    ends = [e for e in desk.memory.calls[call.request_id].timeline if e.kind == "play.ended"]
    assert ends[0].data["completed"]


async def test_who_hangs_up_while_gathering(desk):
    async def flow(session: Session):
        leg = await up(session, numbers.ending("3001"))
        return await gather(session, leg, Gather(("tone:ring",), first_timeout=9, retries=3))

    gathered, _ = await desk.run(flow)
    assert (gathered.digits, gathered.reason) == ("", "hangup")


@over_asterisk
async def test_fifty_calls_gather_at_once_and_no_digit_is_lost_or_crossed(desk):
    wanted: dict[str, str] = {}
    got: dict[str, str] = {}
    reasons: list[str] = []

    async def flow(session: Session, _params):
        caller = session.call.legs[1]
        await answer(session, caller)
        prompts = ("sound:vm-intro", "sound:vm-intro", "sound:vm-intro")
        first = await gather(session, caller, Gather(prompts, max_digits=4, first_timeout=15, inter_digit_timeout=8))
        second = await gather(session, caller, Gather(prompts, first_timeout=15, inter_digit_timeout=8))
        got[caller.number] = f"{first.digits}/{second.digits}"
        reasons.append(second.reason)

    desk.flows[INBOUND] = flow
    for _ in range(50):
        caller = f"1555{next(SERIAL):06d}"
        digits = "".join(random.choice("0123456789*") for _ in range(9))
        wanted[caller] = f"{digits[:4]}/{digits[4:]}"
        script = [(random.uniform(0.1, 1.2), key) for key in f"{digits}#"]
        desk.dial_in(caller, "15550009000", script, hangup_after=60)

    async def all_in() -> bool:
        return len(got) == len(wanted)

    try:
        await eventually(all_in, within=120, what="50 gathered", every=0.2)
    finally:
        await asyncio.gather(*desk.registry.tasks, return_exceptions=True)
    assert got == wanted
    assert set(reasons) == {"terminator"}


# -- record ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "case",
    [
        ("7001", RecordMessage(longest=2, beep=False), "longest", (1.1, 2.9)),
        ("6001", RecordMessage(longest=20, silence=2, beep=False, shortest=0), "silence", (0, 1.0)),
        ("6001", RecordMessage(longest=20, silence=2, beep=False), "too_short", (0, 1.0)),
        ("3004", RecordMessage(beep=False), "hangup", (1.0, 4.9)),
        ("4125", RecordMessage(terminators="5", beep=False, silence=0, shortest=0.1), "terminator", (0.1, 2.4)),
    ],
)
async def test_record_message(desk, tmp_path, case):
    ending, options, reason, (least, most) = case
    number, file = numbers.ending(ending), tmp_path / "message.wav"

    async def flow(session: Session):
        leg = await up(session, number)
        return await record_message(session, leg, replace(options, to=file))

    recorded, call = await desk.run(flow)
    assert recorded.reason == reason
    assert least <= recorded.seconds < most, "from when it began, however late that was, to its end"
    assert file.exists() == recorded.kept
    assert "message.recorded" in [event.kind for event in desk.memory.calls[call.request_id].timeline]
    if recorded.kept:
        with wave.open(str(file)) as sound:
            assert (sound.getframerate(), sound.getnchannels(), sound.getsampwidth()) == (8000, 1, 2)
    if desk.real and ending == "7001":
        assert audio.tone_present(audio.load(file)[0], numbers.tone_hz(number), min_seconds=1)


async def test_a_message_that_is_not_fetched_goes_with_its_call(desk, tmp_path):
    number, there = numbers.ending("7001"), tmp_path / "there.wav"

    async def flow(session: Session):
        leg = await up(session, number)
        recorded = await record_message(session, leg, RecordMessage(longest=1, silence=0, beep=False))
        return recorded, await session.switch.fetch_recording(recorded.name, there)

    (recorded, fetched), _ = await desk.run(flow)
    assert (recorded.reason, fetched) == ("longest", True)
    assert not await desk.switch.fetch_recording(recorded.name, tmp_path / "gone.wav")


@over_asterisk
async def test_a_beep_is_heard_before_the_message(desk, tmp_path):
    number = numbers.ending(numbers.SILENT)

    async def flow(session: Session):
        leg = await up(session, number)
        return await record_message(session, leg, RecordMessage(longest=1, silence=0, to=tmp_path / "m.wav"))

    await desk.run(flow)
    assert not audio.is_silent((await desk.heard(number)).samples)


# -- several targets ---------------------------------------------------------------------------------------------------


def targets(*endings, ring=60.0):
    return tuple(Target(numbers.ending(ending), ring) for ending in endings)


async def test_one_after_the_other_until_one_answers(desk):
    first, second, third = targets(numbers.BUSY, "7001", "7002")

    async def flow(session: Session):
        return await dial_many(session, DialMany(((first,), (second,), (third,)), CALLER_ID))

    reached, call = await desk.run(flow)
    assert (reached.reason, reached.leg.number) == ("answered", second.number)
    assert [leg.number for leg in call.legs.values()] == [first.number, second.number]


async def test_each_has_its_own_patience(desk):
    first, second = Target(numbers.ending(numbers.RINGS_FOR_EVER), 1.0), Target(numbers.ending("7003"), 60.0)

    async def flow(session: Session):
        return await dial_many(session, DialMany(((first,), (second,)), CALLER_ID))

    reached, call = await desk.run(flow)
    assert reached.leg.number == second.number
    assert call.legs[1].why == "ring_timeout"


async def test_several_at_once_and_the_first_one_has_it(desk):
    ringing, quick, slow = targets(numbers.RINGS_FOR_EVER, "7004", "2004")

    async def flow(session: Session):
        return await dial_many(session, DialMany(((ringing, quick, slow),), CALLER_ID))

    reached, call = await desk.run(flow)
    assert reached.leg.number == quick.number
    others = [leg for leg in call.legs.values() if leg.number != quick.number]
    assert [leg.why for leg in others] == ["elsewhere", "elsewhere"]
    assert disposition.of_call(call) is disposition.ANSWER
    assert records(call)[0].dialed_number == quick.number


async def test_nobody_answers(desk):
    group = targets(numbers.BUSY, numbers.DECLINED)

    async def flow(session: Session):
        return await dial_many(session, DialMany((group,), CALLER_ID))

    reached, _ = await desk.run(flow)
    assert (reached.leg, reached.reason) == (None, "nobody")


async def test_a_refused_target_is_passed_over(desk):
    premium, plain = Target("19005550000", 60), Target(numbers.plain(), 60)

    async def flow(session: Session):
        return await dial_many(session, DialMany(((premium,), (plain,)), CALLER_ID))

    reached, call = await desk.run(flow)
    assert reached.leg.number == plain.number
    assert "call.refused" in [event.kind for event in desk.memory.calls[call.request_id].timeline]


async def test_who_does_not_confirm_is_not_reached(desk):
    silent, wrong, right = targets(numbers.SILENT, "4999", "4199")

    async def flow(session: Session):
        options = DialMany(
            ((silent, wrong, right),), CALLER_ID, whisper=("sound:beep",), confirm="1", confirm_timeout=10
        )
        return await dial_many(session, options)

    reached, call = await desk.run(flow)
    assert reached.leg.number == right.number
    assert all(not leg.alive for leg in call.legs.values())


@pytest.mark.parametrize("hear", ["ringback", "music", ("sound:vm-goodbye",), ""])
async def test_what_the_caller_hears_meanwhile(desk, hear):
    caller_number = numbers.ending(numbers.SILENT)

    async def flow(session: Session):
        caller = await up(session, caller_number, role="agent")
        options = DialMany((targets("2003"),), CALLER_ID, caller=caller, hear=hear)
        reached = await dial_many(session, options)
        assert caller.up
        await hangup(session, caller)
        return reached

    reached, _ = await desk.run(flow)
    assert reached.reason == "answered"
    if desk.real:
        samples = (await desk.heard(caller_number)).samples
        assert audio.is_silent(samples) == (not hear)
        if hear == "ringback":
            assert audio.tone_present(samples, 440, 480)


async def test_the_caller_gives_up_by_a_key_or_by_leaving(desk):
    for ending, cancel, reason in (("4799", "7", "cancelled"), ("3001", "", "caller_gone")):

        async def flow(session: Session, ending=ending, cancel=cancel):
            caller = await up(session, numbers.ending(ending), role="agent")
            group = targets(numbers.RINGS_FOR_EVER, numbers.RINGS_FOR_EVER)
            return await dial_many(session, DialMany((group,), CALLER_ID, caller=caller, cancel_keys=cancel))

        reached, call = await desk.run(flow)
        assert (reached.leg, reached.reason) == (None, reason)
        assert [leg.why for leg in call.legs.values() if leg.role == "target"] == ["cancelled", "cancelled"]


# -- keys, silence, music, mailboxes -------------------------------------------------------------------------------------


async def test_send_dtmf_with_pauses(desk):
    number = numbers.ending(numbers.SILENT)

    async def flow(session: Session):
        leg = await up(session, number)
        begun = asyncio.get_running_loop().time()
        sent = await send_dtmf(session, leg, "w12W3#", duration_ms=120)
        return sent, asyncio.get_running_loop().time() - begun

    (sent, lasted), _ = await desk.run(flow)
    assert sent
    assert lasted > 2.2
    if desk.real:
        assert (await desk.heard(number)).kept.received_dtmf == "123#"
    else:
        assert [args[1] for name, args in desk.switch.requests if name == "send_dtmf"] == ["12", "3#"]


@pytest.mark.parametrize("hostile", ["", "1x", "1;2", "1\n2", "ww " * 3])
async def test_keys_outside_the_alphabet(desk, hostile):
    async def flow(session: Session):
        leg = await up(session, numbers.plain())
        with pytest.raises(UnsafeValue):
            await send_dtmf(session, leg, hostile)

    await desk.run(flow)


async def test_wait_for_silence(desk):
    async def flow(session: Session):
        quiet = await up(session, numbers.ending(numbers.SILENT))
        loud = await up(session, numbers.plain(), attempt=2)
        if not desk.real:
            back = asyncio.get_running_loop().call_later
            back(0.1, desk.switch.comes_back, quiet.channel_id, ("return", "silence", "SILENCE"))
            back(0.1, desk.switch.comes_back, loud.channel_id, ("return", "silence", "TIMEOUT"))
        return [
            await wait_for_silence(session, quiet, quiet=0.5, timeout=20),
            await wait_for_silence(session, loud, quiet=0.5, timeout=2),
        ]

    assert (await desk.run(flow))[0] == [True, False]


async def test_music_on_hold(desk):
    number = numbers.ending(numbers.SILENT)

    async def flow(session: Session):
        leg = await up(session, number)
        assert await music_for(session, leg, 1.0)
        async with hold_music(session, leg):
            await session.until(lambda: False, 0.2)

    await desk.run(flow)
    if desk.real:
        assert not audio.is_silent((await desk.heard(number)).samples)


async def test_voicemail_leaves_a_message(desk, pair):
    async def flow(session: Session):
        leg = await up(session, numbers.ending("3009" if desk.real else "7005"))
        if not desk.real:
            asyncio.get_running_loop().call_later(
                0.1, desk.switch.comes_back, leg.channel_id, ("return", "voicemail", "SUCCESS")
            )
        return await voicemail(session, leg, "101", greeting="none")

    left, _ = await desk.run(flow)
    if desk.real:
        assert left.reason == "hangup"
        inbox = pair.ours.folders.spool / "voicemail" / "default" / "101"
        message, *_ = await eventually(lambda: asyncio.to_thread(kept_in, inbox), within=60, what="message")
        assert audio.duration(audio.load(message)[0]) > 5
    else:
        assert left.reason == "left"


def kept_in(inbox: Path) -> list[Path] | None:
    """Messages that are whole: the text beside each is written last."""
    return [path for path in inbox.rglob("*.wav") if path.with_suffix(".txt").exists()] or None


@over_asterisk
async def test_a_mailbox_that_is_not_there(desk):

    async def flow(session: Session):
        leg = await up(session, numbers.plain())
        return await voicemail(session, leg, "999"), leg.up

    (left, still_there), _ = await desk.run(flow)
    assert (left.reason, still_there) == ("failed", True)
