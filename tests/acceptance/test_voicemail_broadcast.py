"""Messages left in mailboxes: what the mailbox hears, what people and faxes do not, who is told."""

import asyncio
import io

import aiohttp
import numpy as np
import pytest
import pytest_asyncio
import soundfile
from aiohttp import web

from engine.testkit import audio, numbers
from engine.testkit.client import CALLER_ID, new_key
from engine.testkit.poll import eventually
from tests.receiver import Receiver

pytestmark = pytest.mark.asyncio(loop_scope="session")

PATH = "/api/voicemail_broadcast"
HZ, HZ_BY_URL = 700.0, 850.0
BEEP_HZ = 1000.0
SECONDS = 2.0
META = {"order": 4711, "who": "Žofie"}
NOTIFY = "on_create,on_ring,on_answer,on_hangup,on_record"


def tone(hz, kind="WAV", seconds=SECONDS):
    made = io.BytesIO()
    soundfile.write(made, 0.1 * np.sin(2 * np.pi * hz * np.arange(int(seconds * 16_000)) / 16_000), 16_000, format=kind)
    return made.getvalue()


async def upload(client, name, content):
    made = aiohttp.FormData(default_to_multipart=True)
    made.add_field("name", name)
    made.add_field("file", io.BytesIO(content), filename="message.wav")
    headers = {"account": client.account, "auth": client.auth}
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{client.base}/api/media", data=made, headers=headers) as answer,
    ):
        assert answer.status == 200, await answer.text()


class MediaServer:
    """Somebody's web server."""

    async def start(self):
        app = web.Application()
        app.router.add_get("/{name}", self._handle)
        self.asked = []
        self.runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self.runner.setup()
        await web.TCPSite(self.runner, "127.0.0.1", 0).start()
        self.base = f"http://127.0.0.1:{self.runner.addresses[0][1]}"

    async def _handle(self, request):
        name = request.match_info["name"]
        self.asked.append(name)
        match name:
            case "message.ogg":
                return web.Response(body=tone(HZ_BY_URL, "OGG"), content_type="audio/ogg")
            case "text.wav":
                return web.Response(text="no sound", content_type="audio/wav")
            case "page":
                return web.Response(text="<html>", content_type="text/html")
            case "empty.wav":
                return web.Response(body=b"", content_type="audio/wav")
            case "away":
                raise web.HTTPFound("http://169.254.169.254/latest/meta-data/")
            case "huge.wav":
                return web.Response(body=b"", headers={"Content-Length": str(1 << 40)}, content_type="audio/wav")
        raise web.HTTPNotFound


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def media(stack):
    """The server; and account_1's and account_2's sound ``message``."""
    made = MediaServer()
    await made.start()
    await asyncio.gather(*(upload(each, "message", tone(HZ)) for each in (stack.api, stack.api2)))
    yield made
    await made.runner.cleanup()


def body(number, **changes):
    given = {"destination_number": number, "client_media_file_id": "message", **changes}
    return {name: value for name, value in given.items() if value is not None}


async def sure(stack, result=None, **wanted):
    """As ``broadcast``; again when the detector did not find that ``result``: on a machine that starves it hears late, and
    whom it is not sure of it takes for a person."""
    for _ in range(3):
        made = await broadcast(stack, **wanted)
        if result in (None, made[1]["result"]):
            break
    return made


async def broadcast(stack, end, *, api=None, **changes):
    """(number, call, its CDRs) once it is over."""
    api, number = api or stack.api, numbers.ending(end)
    request_id = (await api.post(PATH, body(number, **changes))).expect().response["request_id"]
    call = await api.wait_ended(request_id, 60)

    async def records():
        return await api.cdrs(request_id)

    return number, call, await eventually(records, within=60, what="CDRs")


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def done(stack, media):
    """All of them at once."""
    receiver = Receiver()
    await receiver.start()
    by_url = f"{media.base}/message.ogg"
    wanted = {
        "beep": {"end": "5001", "result": "left", "fork_call": 0, "enable_recording": 1, "pre_dtmf": "1w2", "post_dtmf": "#9", "dtmf_duration": 150,
                 "meta_data": META, "notify_callback_triggers": NOTIFY, "notify_callback_url": receiver.url("/told")},
        "no beep": {"end": "5002", "result": "left", "client_media_file_id": None, "media_url": by_url, "fork_call": "0"},
        "forked": {"end": "5003", "result": "left"},
        "alone": {"end": "5003", "fork_call": 0, "wait_time": 5},
        "human": {"end": "6004", "result": "human", "enable_recording": 1, "pre_dtmf": "5"},
        "fax": {"end": "5004", "result": "fax"},
        "busy": {"end": "0486"},
        "no answer": {"end": "0000", "wait_time": 5},
        "undetected": {"end": "6001", "voicemail_detect": 0, "fork_call": 0, "post_dtmf": "A"},
        "cut": {"end": "3001", "voicemail_detect": 0, "enable_recording": 1},
        "private": {"end": "6001", "voicemail_detect": 0, "privacy": 1, "callerid_number": "5168148720", "api": stack.api2},
        "named": {"end": "6001", "voicemail_detect": 0, "callerid_name": "Trunkline", "callerid_number": 5168148720,
                  "api": stack.api2},
    }  # fmt: skip
    made = dict(zip(wanted, await asyncio.gather(*(sure(stack, **each) for each in wanted.values())), strict=True))

    about = made["beep"][1]["request_id"]

    async def all_told():
        return "recording.ready" in [kind for kind, request_id, _ in receiver.told if request_id == about]

    await eventually(all_told, within=60, what="notifications")
    made["told"] = receiver
    yield made
    await receiver.runner.cleanup()


def begun(callee):
    """Seconds from the answer until anything was heard. The file lacks what was before the first packet."""
    step = audio.WINDOW // 8
    loud = [at for at in range(0, len(callee.samples), step) if audio.level_dbfs(callee.samples[at : at + step]) > -45]
    return callee.talked - audio.duration(callee.samples) + loud[0] / audio.RATE


def outcome(call):
    return call["flow"], call["end_reason"], call["result"]


async def test_the_message_is_heard_after_the_beep(stack, done):
    number, call, cdrs = done["beep"]
    assert outcome(call) == ("voicemail_broadcast", "completed", "left"), await stack.api.story(call["request_id"])
    callee = await stack.callee(number)
    assert audio.tone_seconds(callee.samples, HZ) >= SECONDS - 0.3
    detected = next(e["data"] for e in await stack.api.events(call["request_id"]) if e["type"] == "leg.detected")
    assert detected["who"] == "machine"
    assert detected["beep_at"] is not None
    assert begun(callee) > detected["beep_at"] + 0.4, "the simulator's beep lasts 0.5 s"
    (cdr,) = cdrs
    assert (cdr["destination_context"], cdr["dial_status"], cdr["dialed_number"]) == (
        "voicemail_broadcast", "ANSWER", number,
    )  # fmt: skip
    assert (cdr["agent_number"], cdr["customer_number"], cdr["caller_id"]) == ("", number, CALLER_ID)


async def test_keys_are_pressed_before_and_after(stack, done):
    assert (await stack.callee(done["beep"][0])).kept.received_dtmf == "12#9"
    assert (await stack.callee(done["undetected"][0])).kept.received_dtmf == "A"


async def test_who_asked_to_be_told_is_told(stack, done):
    _, call, _ = done["beep"]
    receiver, request_id = done["told"], call["request_id"]
    secret = (await stack.api.get("/api/webhook_secret")).expect().response["secret"]
    kinds = [each["type"] for each in receiver.verified(secret) if each["data"]["request_id"] == request_id]
    assert kinds[0] == "call.created"
    assert sorted(set(kinds)) == ["call.answered", "call.created", "call.ended", "call.ringing", "recording.ready"]
    assert {path for path, _, _, _ in receiver.got} == {"/told"}
    assert all(each["data"]["meta_data"] == META for _, _, each, _ in receiver.got)
    assert call["meta_data"] == META


async def test_the_recording_has_both_sides(stack, done):
    _, call, cdrs = done["beep"]
    assert cdrs[-1]["recording_name"] == call["recording_name"] == f"{call['request_id']}.wav"
    reply = await stack.api.recording(call["recording_name"])
    (sound,) = audio.decode(reply.expect().body)
    assert audio.tone_seconds(sound, HZ, share=0.3) >= SECONDS - 0.4
    assert audio.tone_present(sound, BEEP_HZ, min_seconds=0.2)
    assert audio.speech_present(sound)


async def test_two_seconds_are_not_kept(stack, done):
    _, call, _ = done["cut"]
    assert call["result"] in {"partly_left", "not_left"}
    reply = await stack.api.recording(f"{call['request_id']}.wav")
    reply.expect(404)
    events = await stack.api.events(call["request_id"])
    assert "recording.failed" in [event["type"] for event in events]


async def test_a_machine_without_a_beep_hears_what_a_url_names(stack, done):
    number, call, _ = done["no beep"]
    assert call["result"] == "left", await stack.api.story(call["request_id"])
    callee = await stack.callee(number)
    assert audio.tone_seconds(callee.samples, HZ_BY_URL) >= SECONDS - 0.3
    assert begun(callee) > 5, "the simulator's greeting"


async def test_the_second_call_forces_the_mailbox(stack, done):
    """Both are in the call history; the first never reaches its owner."""
    number, call, cdrs = done["forked"]
    assert outcome(call) == ("voicemail_broadcast", "completed", "left"), await stack.api.story(call["request_id"])
    assert [leg["number"] for leg in call["legs"]] == [number, number]
    assert [cdr["dial_status"] for cdr in cdrs] == ["CANCEL", "ANSWER"]
    assert [cdr["call_status"] for cdr in cdrs] == ["NO ANSWER", "ANSWERED"]
    assert {cdr["dialed_number"] for cdr in cdrs} == {number}
    first, second = call["legs"]
    assert first["answered_at"] is None
    assert call["answered_at"] == second["answered_at"]
    assert first["ended_at"] < second["ended_at"]

    async def both():
        return len(stack.calls_of(number)) == 2

    await eventually(both, within=60, what="both calls at the simulator")
    assert sorted(kept.answered for kept in stack.calls_of(number)) == [False, True]
    heard = await stack.callee(number)
    assert audio.tone_present(heard.samples, HZ, min_seconds=1)


async def test_alone_it_rings_as_long_as_asked(done):
    for name in ("alone", "no answer"):
        _, call, cdrs = done[name]
        assert outcome(call) == ("voicemail_broadcast", "no_answer", "not_left")
        assert cdrs[-1]["dial_status"] == "NOANSWER"
        assert len(cdrs) == len(call["legs"]) == (1 if name == "alone" else 2)


async def test_people_and_faxes_hear_nothing(stack, done):
    for name, result in (("human", "human"), ("fax", "fax")):
        number, call, _ = done[name]
        assert outcome(call) == ("voicemail_broadcast", "completed", result), await stack.api.story(call["request_id"])
        assert audio.is_silent((await stack.callee(number)).samples)


async def test_who_is_busy_is_not_called_twice(done):
    number, call, cdrs = done["busy"]
    assert outcome(call) == ("voicemail_broadcast", "busy", "not_left")
    assert [leg["number"] for leg in call["legs"]] == [number]
    assert cdrs[0]["dial_status"] == "BUSY"


async def test_without_detection_it_begins_with_the_answer(stack, done):
    number, call, _ = done["undetected"]
    assert call["result"] == "left"
    assert audio.tone_seconds((await stack.callee(number)).samples, HZ) >= SECONDS - 0.3
    assert "leg.detected" not in [event["type"] for event in await stack.api.events(call["request_id"])]


async def test_who_is_shown(stack, done):
    assert (await stack.callee(done["beep"][0])).caller == CALLER_ID
    assert (await stack.callee(done["named"][0])).caller == "15168148720"
    assert "15168148720" not in (await stack.callee(done["private"][0])).caller


async def test_one_key_is_one_call(stack, media):
    key, number = {"Idempotency-Key": new_key()}, numbers.ending(numbers.BUSY)
    first, again = [(await stack.api.post(PATH, body(number), **key)).expect().response for _ in range(2)]
    assert first == again
    assert first.keys() == {"request_id", "success"}
    await stack.api.wait_ended(first["request_id"])
    (await stack.api.post(PATH, body(number, wait_time=20), **key)).expect(409)


WRONG = {
    "destination_number": ["", "12345", "101", "80006800", "8000680002x", None, 1.5],
    "callerid_name": ["ab", "sixteencharacters", "A B C", "A-B-C", 'x" <1>', ""],
    "callerid_number": ["1516814811", "8005551234", "8885551234", "8775551234", "8665551234", "8555551234", "516814811",
                        "51681481110", "516814811x", "", "+18005551234"],
    "privacy": [2, "yes", True, 1, "1"],
    "enable_recording": [2, "on", -1, True],
    "wait_time": [4, 61, "x", 15.5],
    "voicemail_detect": [2, "", "on"],
    "fork_call": [3, "true"],
    "pre_dtmf": ["E", "1 2", "a", "1,2", "1" * 65, "\u0661", ["1"]],
    "post_dtmf": ["x", "p", "+"],
    "dtmf_duration": [99, 1501, "long"],
    "client_media_file_id": ["nothing-of-that-name", "../etc/passwd", "x" * 200, {}],
    "meta_data": ["\0", "\ud800", "x" * 66_000],
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
async def test_what_is_wrong_is_named(stack, media, name):
    number = numbers.ending("5001")
    for value in WRONG[name]:
        reply = await stack.api.post(PATH, {**body(number), name: value})
        named = reply.expect(422).response["errors"].keys()
        assert named == {"callerid_number" if name == "privacy" and value in (1, "1") and value is not True else name}
    assert stack.calls_of(number) == []


WRONG_URLS = [
    "no url", "ftp://example.com/a.wav", "file:///etc/passwd", "http://10.1.2.3/a.wav", "http://169.254.169.254/latest",
    "http://[::ffff:10.0.0.1]/a.wav", "http://localhost.localdomain/a.wav", "http://user:pw@example.com/a.wav",
    "http://2130706433/a.wav", "http://example.com/" + "a" * 2100, 7,
]  # fmt: skip


async def test_urls_that_lead_nowhere_good(stack, media):
    for url in WRONG_URLS:
        given = body(numbers.ending("5001"), client_media_file_id=None, media_url=url)
        assert (await stack.api.post(PATH, given)).expect(422).response["errors"].keys() == {"media_url"}
        given = body(numbers.ending("5001"), notify_callback_url=url, notify_callback_triggers="on_ring")
        assert (await stack.api.post(PATH, given)).expect(422).response["errors"].keys() == {"notify_callback_url"}


@pytest.mark.parametrize("name", ["text.wav", "page", "empty.wav", "away", "huge.wav", "nothing"])
async def test_what_a_url_may_not_give(stack, media, name):
    number = numbers.ending("5001")
    given = body(number, client_media_file_id=None, media_url=f"{media.base}/{name}")
    assert (await stack.api.post(PATH, given)).expect(422).response["errors"].keys() == {"media_url"}
    assert name in media.asked
    assert stack.calls_of(number) == []


async def test_what_needs_each_other(stack, media):
    url = "https://example.com/hook"
    for given, named in (
        ({"client_media_file_id": None}, "client_media_file_id"),
        ({"client_media_file_id": ""}, "client_media_file_id"),
        ({"notify_callback_url": url}, "notify_callback_triggers"),
        ({"notify_callback_url": url, "notify_callback_triggers": ""}, "notify_callback_triggers"),
        ({"notify_callback_triggers": "on_ring"}, "notify_callback_url"),
        ({"notify_callback_url": url, "notify_callback_triggers": "on_ring,on_test"}, "notify_callback_triggers"),
        ({"notify_callback_url": url, "notify_callback_triggers": ["on_ring", 5]}, "notify_callback_triggers"),
    ):
        reply = await stack.api.post(PATH, body(numbers.ending("5001"), **given))
        assert reply.expect(422).response["errors"].keys() == {named}, given


async def test_the_gate_stands_before_it(stack, media):
    number = numbers.ending("5001")
    foreign = await stack.api.post(PATH, body(number, callerid_number="5168148111"))
    assert foreign.expect(403).response["errors"] == {"rule": "caller_id"}
    premium = await stack.api.post(PATH, body("+19005551234"))
    assert premium.expect(403).response["errors"]["rule"] == "premium"
    (await stack.api.request("POST", PATH, body=body(number), headers={"auth": "wrong"})).expect(401)
    assert stack.calls_of(number) == []


async def test_it_ends_with_the_engine_and_nobody_is_called_again(stack, media):
    """One that rings, with its pair, and one that hears the message."""
    rings, listens = numbers.ending(numbers.RINGS_FOR_EVER), numbers.ending(numbers.SILENT)
    await upload(stack.api, "long", tone(HZ, seconds=30))
    ids = [
        (await stack.api.post(PATH, given)).expect().response["request_id"]
        for given in (
            body(rings, wait_time=60),
            body(listens, voicemail_detect=0, fork_call=0, client_media_file_id="long"),
        )
    ]

    async def under_way():
        ringing, playing = [await stack.api.call(each) for each in ids]
        return len(ringing["legs"]) == 2 and playing["step"] == "message"

    await eventually(under_way, within=60, what="two calls under way")
    pid = stack.kill("engine")
    await stack.wait_ready(but=pid)
    for request_id, legs, result in zip(ids, (2, 1), ("not_left", "partly_left"), strict=True):
        call = await stack.api.wait_ended(request_id)
        assert outcome(call) == ("voicemail_broadcast", "engine_restart", result)
        assert len(call["legs"]) == legs
        assert len(await stack.api.cdrs(request_id)) == legs
    await stack.callee(listens)
    assert len(stack.calls_of(listens)) == 1
