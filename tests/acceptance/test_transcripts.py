"""Two people talk over SIP; what each of them said, and when, is read back."""

import asyncio
import re
from dataclasses import dataclass

import pytest
import pytest_asyncio

from engine.testkit import audio, numbers
from engine.testkit.client import leg_of
from engine.testkit.poll import eventually

pytestmark = pytest.mark.asyncio(loop_scope="session")

SENTENCES = {"agent": "cannot-complete-as-dialed", "customer": "pls-hold-while-try"}
"""Who says which of Asterisk's recorded prompts, one after the other."""
WORDS = {"agent": {"call", "cannot", "completed", "dialed"}, "customer": {"please", "hold", "try", "connect"}}
"""Of these at least half are to be found again."""
MADE_WITHIN = 60.0


@dataclass
class Talked:
    request_id: str
    call: dict
    cdr: dict


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def voices(stack):
    """Speaker → samples."""
    conf = (stack.state / "asterisk/etc/asterisk.conf").read_text()
    data = re.search(r"^astdatadir = (.+)$", conf, re.MULTILINE)[1]
    return {
        who: audio.load(stack.state.joinpath(data) / "sounds/en" / f"{name}.wav")[0] for who, name in SENTENCES.items()
    }


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def talk(stack, voices):
    """``await talk(**fields)``: a click-to-call between two phones whose people speak in turn."""
    phones = [await stack.phone(extension, tone=0) for extension in ("101", "102")]
    async with phones[0], phones[1]:
        await asyncio.gather(*(phone.register() for phone in phones))

        async def place(**fields):
            request_id = await stack.api.click2call("101", "102", **fields)
            lines = [await phone.next_call() for phone in phones]
            await stack.api.wait_state(request_id, "talking")
            await _recording(stack, request_id)
            for line, who in zip(lines, SENTENCES, strict=True):
                line.sound.say(voices[who])
                await _silent_again(line.sound)
            await lines[1].hang_up()
            call = await stack.api.wait_ended(request_id)
            return Talked(request_id, call, await stack.api.cdr(request_id))

        yield place


async def _recording(stack, request_id):
    """Asterisk has begun to record both: their snoops are in."""

    async def look():
        return sum(each["name"].startswith("Snoop/") for each in await stack.ari.channels()) >= 2

    await eventually(look, within=60, what="recording of both")


async def _silent_again(sound):
    async def look():
        return not len(sound.said)

    await eventually(look, within=60, what="end of a sentence")


async def transcript(stack, request_id, *, within=MADE_WITHIN):
    """The transcript, once it is made."""

    async def look():
        reply = await stack.api.get(f"/api/transcripts/{request_id}")
        if reply.status == 202:
            assert int(reply.headers["Retry-After"]) >= 1
            assert reply.response["transcript"]["status"] in ("pending", "running")
            return None
        return reply.expect(200).response["transcript"]

    return await eventually(
        look, within=within, what="transcript", every=0.2, tell=lambda: stack.api.story(request_id)
    )  # fmt: skip


def says_who_said_what(made):
    assert made["status"] == "ready", made
    for who, wanted in WORDS.items():
        heard = {word for each in made["segments"] if each["speaker"] == who for word in each["text"].split()}
        assert len(wanted & heard) * 2 >= len(wanted), f"{who}: {heard}"
    begins = {who: min(each["start"] for each in made["segments"] if each["speaker"] == who) for who in WORDS}
    assert begins["agent"] + 1.5 < begins["customer"], begins
    assert all(0 <= each["start"] < each["end"] <= made["duration"] + 0.5 for each in made["segments"])
    assert made["text"].splitlines()[0].startswith("agent: ")


async def test_with_a_recording(stack, talk):
    done = await talk(transcript="on", recording_option="on")
    says_who_said_what(await transcript(stack, done.request_id))
    assert done.cdr["recording_name"] == f"{done.request_id}.wav"
    assert len(audio.decode((await stack.api.recording(done.cdr["recording_name"])).expect(200).body)) == 2
    kinds = [event["type"] for event in await stack.api.events(done.request_id)]
    assert kinds.count("transcript.ready") == 1
    assert kinds.count("recording.ready") == 1
    (await stack.api2.get(f"/api/transcripts/{done.request_id}")).expect(404)


async def test_with_recording_off_nothing_but_words_is_kept(stack, talk):
    done = await talk(transcript="on", recording_option="off")
    says_who_said_what(await transcript(stack, done.request_id))
    assert done.cdr["recording_name"] == ""
    assert done.call["recording_name"] is None
    name = f"{done.request_id}.transcript.wav"
    (await stack.api.get(f"/api/recordings/{name}")).expect(404)
    kinds = [event["type"] for event in await stack.api.events(done.request_id)]
    assert "recording.ready" not in kinds

    async def gone():
        merged = list((stack.state / "recordings").rglob(f"*{done.request_id}*"))
        sides = list((stack.state / "asterisk").rglob(f"*{done.request_id}*.wav"))
        return not merged and not sides

    await eventually(gone, within=60, what="folder without the call's sound")


async def test_one_side_kept_and_both_transcribed(stack, talk):
    done = await talk(transcript="on", recording_option="agent")
    says_who_said_what(await transcript(stack, done.request_id))
    (channel,) = audio.decode((await stack.api.recording(done.cdr["recording_name"])).expect(200).body)
    assert audio.speech_present(channel)
    assert not (stack.state / "recordings/account_1" / f"{done.request_id}.transcript.wav").exists()


async def test_the_engine_dies_before_it_is_made(stack, talk):
    done = await talk(transcript="on", recording_option="off")
    killed = stack.kill("engine")
    await stack.wait_ready(but=killed)
    says_who_said_what(await transcript(stack, done.request_id))


async def test_the_engine_dies_while_it_is_made(stack, talk):
    done = await talk(transcript="on", recording_option="off")

    async def running():
        reply = await stack.api.get(f"/api/transcripts/{done.request_id}")
        return reply.response["transcript"]["status"] == "running"

    await eventually(running, within=60, what="transcript in the making")
    killed = stack.kill("engine")
    await stack.wait_ready(but=killed)
    says_who_said_what(await transcript(stack, done.request_id))


async def test_while_they_talk_it_is_pending_and_nobody_asked_is_404(stack):
    # Silent people: a tone that stutters, as on a machine with too much to do, may be heard as a word.
    asked = await stack.api.click2call(numbers.ending(numbers.SILENT), numbers.ending(numbers.SILENT), transcript="on")
    plain = await stack.api.click2call(numbers.plain(), numbers.ending("3001"))
    await stack.api.wait_state(asked, "talking")
    reply = (await stack.api.get(f"/api/transcripts/{asked}")).expect(202)
    assert reply.response["transcript"]["status"] == "pending"
    (await stack.api.get(f"/api/transcripts/{plain}")).expect(404)
    await stack.api.wait_ended(plain)
    (await stack.api.get(f"/api/transcripts/{plain}")).expect(404)
    (await stack.api.hang_up(asked)).expect(200)
    await stack.api.wait_ended(asked)
    made = await transcript(stack, asked)
    assert (made["status"], made["segments"]) == ("ready", []), "nobody said a word"


async def test_a_call_in_which_nobody_talked(stack):
    request_id = await stack.api.click2call(numbers.plain(), numbers.ending(numbers.BUSY), transcript="on")
    call = await stack.api.wait_ended(request_id)
    assert leg_of(call, "customer")["sip_code"] == 486
    told = (await stack.api.get(f"/api/transcripts/{request_id}")).expect(404).response
    assert "nobody talked" in told["message"]


async def test_on_the_command_line(stack, talk):
    done = await talk(recording_option="on")
    (await stack.api.recording(done.cdr["recording_name"])).expect(200)
    made = await stack.trunkline("transcripts", "run", done.request_id)
    assert "agent" in made
    assert "cannot" in made
    assert await stack.trunkline("transcripts", "show", done.request_id) == made
    says_who_said_what(await transcript(stack, done.request_id))
