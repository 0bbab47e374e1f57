"""Sounds and files as an account keeps them, and as a callee hears them."""

import asyncio
import io
import json
import os
from urllib.parse import quote

import aiohttp
import numpy as np
import pytest
import soundfile

from engine.testkit import audio, numbers
from engine.testkit.client import leg_of
from tests.acceptance.conversations import click_to_call

pytestmark = pytest.mark.asyncio(loop_scope="session")

HZ = 1330.0


def sound(kind="WAV", seconds=1.5, rate=44_100):
    made = io.BytesIO()
    soundfile.write(made, 0.05 * np.sin(2 * np.pi * HZ * np.arange(int(seconds * rate)) / rate), rate, format=kind)
    return made.getvalue()


async def upload(client, content, *, filename="a.wav", status=200, **texts):
    made = aiohttp.FormData(default_to_multipart=True)
    for name, text in texts.items():
        made.add_field(name, text)
    made.add_field("file", io.BytesIO(content), filename=filename)
    headers = {"account": client.account, "auth": client.auth}
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{client.base}/api/media", data=made, headers=headers) as answer,
    ):
        told = await answer.json()
        assert answer.status == status, told
        return told["response"]


@pytest.mark.parametrize(
    ("kind", "filename"), [("WAV", "a.wav"), ("MP3", "a.mp3"), ("OGG", "a.ogg"), ("FLAC", "a.flac")]
)
async def test_what_was_uploaded_is_heard(stack, kind, filename):
    made = (await upload(stack.api, sound(kind), filename=filename, name=f"tone-{kind}"))["media"]

    async def play(request_id):
        call = await stack.api.wait_state(request_id, "talking")
        await stack.ari.play(leg_of(call, "agent")["channel_id"], made["media_uri"])

    done = await click_to_call(stack.api, stack, customer=numbers.ending("3006"), then=play)
    assert audio.tone_present(done.agent.samples, HZ, min_seconds=1.0, share=0.2), done.story


async def test_it_is_replaced_listed_and_deleted(stack):
    first = (await upload(stack.api, sound(), name="greeting", extension="900"))["media"]
    again = (await upload(stack.api, sound(seconds=0.5), name="greeting", extension="900"))["media"]
    assert first["media_uri"] != again["media_uri"]
    listed = (await stack.api.get("/api/media?limit=500")).expect().response["media"]
    assert [each for each in listed if each["name"] == "greeting"] == [again]
    told = await upload(stack.api, sound(), name="other", extension="900", status=422)
    assert "extension" in told["errors"]
    (await stack.api2.get("/api/media/greeting")).expect(404)
    (await stack.api.request("DELETE", "/api/media/greeting")).expect()
    (await stack.api.get("/api/media/greeting")).expect(404)


async def test_what_is_no_sound_is_refused_and_not_kept(stack):
    before = _files(stack)
    for content in (b"", b"hello", os.urandom(100_000), sound()[:40]):
        told = await upload(stack.api, content, filename="a", name="bad", status=422)
        assert set(told["errors"]) == {"file"}
    await upload(stack.api, sound(), filename="a.mp3", name="bad", status=422)
    await upload(stack.api, sound(), name="../bad", status=422)
    (await stack.api.get("/api/media/bad")).expect(404)
    assert _files(stack) == before


def _files(stack):
    return {path for path in (stack.state / "engine/media").rglob("*") if path.is_file()}


async def test_eight_uploads_at_once_and_calls_meanwhile(stack):
    request_id = await stack.api.click2call(numbers.plain(), numbers.ending("3003"))
    made = await asyncio.gather(
        *(upload(stack.api, sound("MP3", 20), filename="a.mp3", name=f"m{n}") for n in range(8))
    )
    assert all(abs(each["media"]["duration"] - 20) < 0.2 for each in made)
    assert (await stack.api.wait_ended(request_id))["end_reason"] == "completed"


async def put(client, name, content):
    headers = {"account": client.account, "auth": client.auth}
    async with (
        aiohttp.ClientSession() as session,
        session.put(f"{client.base}/api/objects/{name}", data=io.BytesIO(content), headers=headers) as answer,
    ):
        assert answer.status == 200, await answer.text()
        return (await answer.json())["response"]["object"]


async def test_objects(stack):
    content = os.urandom(3 << 20)
    made = await put(stack.api, "raw.bin", content)
    assert made["size"] == len(content)
    assert (stack.state / "objects/account_1/raw.bin").read_bytes() == content
    assert (await stack.api.get("/api/objects/raw.bin")).expect().body == content
    assert (await stack.api.get("/api/objects/raw.bin", {"Range": "bytes=5-9"})).expect(206).body == content[5:10]
    (await stack.api2.get("/api/objects/raw.bin")).expect(404)
    for name in ("..", "../account_2/x", ".hidden", "a/b"):
        reply = await stack.api.request("PUT", f"/api/objects/{quote(name, safe='')}", body=b"x")
        assert reply.status in (404, 405, 422)
    (await stack.api.request("DELETE", "/api/objects/raw.bin")).expect()
    (await stack.api.get("/api/objects/raw.bin")).expect(404)


async def test_on_the_command_line(stack, tmp_path):
    path = tmp_path / "hours.flac"
    path.write_bytes(sound("FLAC"))
    made = json.loads(await stack.trunkline("media", "upload", str(path), "--extension", "901", "--json"))
    assert (await stack.api.get("/api/media/hours")).expect().response["media"] == made
    assert "hours" in await stack.trunkline("media", "list")
    await stack.trunkline("media", "delete", "hours")
    (await stack.api.get("/api/media/hours")).expect(404)
    await stack.trunkline("objects", "put", str(path), "--name", "h.flac", "--account", "account_2")
    assert (await stack.api2.get("/api/objects/h.flac")).expect().body == path.read_bytes()
    assert "h.flac" in await stack.trunkline("objects", "list", "--account", "account_2")
    await stack.trunkline("objects", "get", "h.flac", "--account", "account_2", "--output", str(tmp_path / "back"))
    assert (tmp_path / "back").read_bytes() == path.read_bytes()
    await stack.trunkline("objects", "delete", "h.flac", "--account", "account_2")
    (await stack.api2.get("/api/objects/h.flac")).expect(404)
