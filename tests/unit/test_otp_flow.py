"""The announcement's flow without Asterisk: what it says became of it, and that it lets go of the password."""

from datetime import UTC, datetime
from typing import Any

import pytest

from engine.flows.otp import otp
from engine.media.tts.port import Speech, Spoken
from engine.sessions.session import Session
from engine.store.port import NewCall
from engine.telephony.fake import FakeSwitch
from engine.testkit.poll import eventually
from tests.contract.verb_desk import ACCOUNT, CALLER_ID, Desk

REQUEST = "00000000ff"


class Voice:
    def __init__(self, *, dead: bool) -> None:
        self.dead = dead
        self.said: list[str] = []
        self.open = 0

    def check(self, speech: Speech) -> str:
        raise AssertionError(repr(speech))

    async def speak(self, speech: Speech) -> Spoken:
        raise AssertionError(f"a password must not reach the cache: {speech}")

    async def speak_secret(self, speech: Speech) -> Spoken:
        self.said.append(speech.text)
        self.open += 1
        if self.dead:
            return Spoken("sound:please-try-call-later", None, 0.0, fallback=True, note="dead", on_close=self._close)
        return Spoken("sound:once-x", None, 0.05, on_close=self._close)

    def _close(self) -> None:
        self.open -= 1


async def placed(
    number: str, *, dead: bool = False, code: str | None = "0071", repeat: int = 1
) -> tuple[Session, Voice]:
    desk, voice = Desk(None), Voice(dead=dead)
    desk.build(lambda sink: FakeSwitch("asterisk", sink))
    object.__setattr__(desk.registry.services, "speaker", voice)
    desk.flows["otp"] = otp
    await desk.switch.start()

    async def settled() -> bool:
        return bool(desk.registry.settled)

    await eventually(settled, within=60, what="link")
    manner: dict[str, Any] = dict.fromkeys(("rate", "pitch", "volume"), "medium")
    params = {"customer_number": number, "caller_id": CALLER_ID, "text": "Code {otp}", "repeat": repeat, "voice": "",
              "language": "", "engine": "standard", **manner}  # fmt: skip
    new = NewCall(REQUEST, "a", "otp", "outbound", "e", datetime.now(UTC), params)
    if code is not None:
        desk.registry.services.codes.keep(REQUEST, code)
    session = await desk.registry.begin(new, ACCOUNT, desk.switch)
    desk.registry.run(session)
    assert session.task is not None
    await session.task
    assert len(desk.registry.services.codes) == 0
    assert voice.open == 0
    assert "0071" not in repr([stored.timeline for stored in desk.memory.calls.values()])
    await desk.switch.stop()
    return session, voice


@pytest.mark.parametrize("repeat", [1, 3])
async def test_announced_as_often_as_asked_and_spelled(repeat):
    session, voice = await placed("15550001234", repeat=repeat)
    assert session.call.result == "announced"
    assert voice.said == ["Code 0,, 0,, 7,, 1"]


async def test_without_speech_it_is_not_announced():
    session, _ = await placed("15550001234", dead=True)
    assert session.call.result == "not_announced"


async def test_nobody_answers():
    session, voice = await placed("15550000486")
    assert (session.call.result, session.call.end_reason) == ("not_announced", "busy")
    assert voice.said == []


async def test_a_password_that_died_with_its_process_is_never_called_for():
    session, _ = await placed("15550001234", code=None)
    assert (session.call.result, session.call.end_reason, session.call.legs) == ("not_announced", "engine_restart", {})
