"""Letters: kept until they left, with their recording, tried again, given up."""

import asyncio
import contextlib
import email
import email.policy
import json

import pytest

from engine.config import MailServer
from engine.mail import outbox as module
from engine.mail.outbox import Outbox
from engine.mail.port import Letter
from tests.waiting import until

LETTER = Letter("account_1", "57362de4f0", "desk@example.com", "Message", "Somebody called.", "57362de4f0.wav")


@contextlib.asynccontextmanager
async def running(outbox):
    task = asyncio.create_task(outbox.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@contextlib.asynccontextmanager
async def smtp_server(answer="250 ok"):
    """What it was sent, and a server that answers RCPT as told."""
    received = []

    async def talk(reader, writer):
        async def say(line):
            writer.write(f"{line}\r\n".encode())
            await writer.drain()

        await say("220 test")
        while line := await reader.readline():
            word = line.split()[0].upper() if line.split() else b""
            if word == b"DATA":
                await say("354 go on")
                received.append((await reader.readuntil(b"\r\n.\r\n"))[:-5])
                await say("250 kept")
            elif word == b"QUIT":
                await say("221 bye")
                break
            else:
                await say(answer if word == b"RCPT" else "250 ok")
        writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1], received
    finally:
        server.close()
        await server.wait_closed()


def settings(port):
    return MailServer(host="127.0.0.1", port=port, security="none", sender="trunkline@example.com")


def made(tmp_path, server=None, **more):
    sound = tmp_path / "recordings" / "account_1"
    sound.mkdir(parents=True)
    return Outbox(tmp_path / "mail", tmp_path / "recordings", server, **more), sound / "57362de4f0.wav"


def names(tmp_path, folder):
    return sorted(path.name for path in (tmp_path / "mail" / folder).glob("*"))


async def test_a_letter_waits_for_its_recording_and_then_leaves_with_it(tmp_path):
    async with smtp_server() as (port, received):
        outbox, sound = made(tmp_path, settings(port))
        async with running(outbox):
            await outbox.send(LETTER)
            assert len(names(tmp_path, "waiting")) == 1
            assert received == []
            sound.write_bytes(b"RIFF sound")
            outbox.wake.set()
            await until(lambda: received and not names(tmp_path, "waiting"), within=60)
    message = email.message_from_bytes(received[0], policy=email.policy.default)
    assert (message["To"], message["From"], message["Subject"]) == (LETTER.to, "trunkline@example.com", "Message")
    (attached,) = message.iter_attachments()
    assert attached.get_content() == b"RIFF sound"
    assert attached.get_filename() == "57362de4f0.wav"


async def test_without_a_mail_server_letters_are_files(tmp_path):
    outbox, sound = made(tmp_path)
    sound.write_bytes(b"RIFF sound")
    async with running(outbox):
        await outbox.send(LETTER)
        await until(lambda: names(tmp_path, "sent"), within=60)
    assert names(tmp_path, "waiting") == []


@pytest.mark.parametrize(("answer", "where"), [("550 nobody here", "failed"), ("451 later", "waiting")])
async def test_a_refusal_is_final_and_trouble_is_not(tmp_path, answer, where):
    async with smtp_server(answer) as (port, received):
        outbox, sound = made(tmp_path, settings(port))
        sound.write_bytes(b"RIFF sound")
        async with running(outbox):
            await outbox.send(LETTER)
            await until(lambda: names(tmp_path, where) and _tries(tmp_path, where), within=60)
    assert received == []


def _tries(tmp_path, where):
    (path,) = (tmp_path / "mail" / where).glob("*.json")
    return where == "failed" or json.loads(path.read_text())["tries"]


async def test_a_letter_that_no_server_takes_is_given_up(tmp_path):
    now = [0.0]
    outbox, sound = made(tmp_path, settings(1), clock=lambda: now[0])
    sound.write_bytes(b"RIFF sound")
    await outbox.send(LETTER)
    (path,) = (tmp_path / "mail" / "waiting").glob("*.json")
    for _ in range(len(module.DELAYS) + 1):
        assert path.exists()
        await asyncio.to_thread(outbox._try, path)
        now[0] += max(module.DELAYS) * 2
    assert names(tmp_path, "failed") == [path.name]


async def test_a_recording_that_never_comes_holds_a_letter_for_an_hour(tmp_path):
    now = [0.0]
    outbox, _ = made(tmp_path, clock=lambda: now[0])
    await outbox.send(LETTER)
    (path,) = (tmp_path / "mail" / "waiting").glob("*.json")
    outbox._try(path)
    assert path.exists()
    now[0] = module.RECORDING_WITHIN + 1
    outbox._try(path)
    assert len(names(tmp_path, "sent")) == 1


async def test_a_letter_cannot_forge_headers(tmp_path):
    outbox, _ = made(tmp_path)
    message = outbox._message(Letter("a", "57362de4f0", "a@example.com", "Hi\r\nBcc: x@example.com", "text"))
    assert "Bcc" not in message
