"""Every rendered file loads into a real Asterisk, and the dialplan does with calls what it says."""

import asyncio
import re
import sys
from collections.abc import AsyncIterator
from dataclasses import replace

import aiohttp
import pytest
import pytest_asyncio

from engine.config import Trunk
from engine.embedded.carrier import place_inbound
from engine.telephony.provision import host_port, render_trunks
from engine.testkit.poll import eventually
from tests.integration.asterisk_pair import Pair, ari, credentials, running_pair
from tests.integration.sip_phone import SipPhone


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def pair() -> AsyncIterator[Pair]:
    async with running_pair() as both:
        yield both


def phone(pair: Pair, extension: str, password: str | None = None) -> SipPhone:
    return SipPhone(host_port(pair.deployment.sip), extension, f"w;{extension}" if password is None else password)


def trunk_peer(pair: Pair) -> SipPhone:
    """The far end of the trunk ``probe``: known by its address, no password."""
    return SipPhone(
        host_port(pair.deployment.sip), "15550009999", port=host_port(pair.deployment.trunks["probe"].host)[1]
    )


async def test_starts_at_once_and_without_a_complaint(pair: Pair) -> None:
    sys.stdout.write(f"both Asterisks up in {pair.started_in:.2f} s\n")
    for server in (pair.ours, pair.carrier):
        log = (server.folders.log / "messages.log").read_text()
        start = log.partition("Asterisk Ready")[0]
        assert not re.findall(r".*\b(?:WARNING|ERROR)\b.*", start)


async def test_every_module_that_is_named_runs(pair: Pair) -> None:
    for server in (pair.ours, pair.carrier):
        named = re.findall(r"^load = (\S+)", (server.folders.etc / "modules.conf").read_text(), re.MULTILINE)
        shown = await server.console("module show")
        running = set(re.findall(r"^(\S+\.so) .* Running ", shown, re.MULTILINE))
        assert set(named) <= running
        assert len(running) < 150, "modules that nobody named"


async def test_every_file_was_read(pair: Pair) -> None:
    listed = await pair.ours.console("config list")
    read = set(re.findall(r"/([\w-]+\.conf)\s*$", listed, re.MULTILINE))
    written = {path.name for path in pair.ours.folders.etc.rglob("*.conf")}
    assert written - read == set()


async def test_what_was_configured_is_there(pair: Pair) -> None:
    console = pair.ours.console
    endpoints = await console("pjsip show endpoints")
    assert set(re.findall(r"Endpoint:  (\w+)", endpoints)) == {*map(str, range(101, 111)), "carrier", "probe"}
    for context in ("softphones", "trunk-inbound", "trunkline", "fallback-softphone", "fallback-inbound"):
        assert f"Context '{context}'" in await console(f"dialplan show {context}")
    assert re.search(r"Class: default\s+File: ", await console("moh show files"))
    assert re.search(r"Logging:\s+Disabled", await console("cdr show status"))
    cel = await console("cel show status")
    assert {"BRIDGE_ENTER", "CHAN_START", "ANSWER", "Enabled"} <= set(re.findall(r"\w+", cel))
    assert "sip:127.0.0.1" in await console("pjsip show aor carrier")
    assert "default_bridge" in await console("confbridge show profile bridges")
    assert "110" in await console("voicemail show users")


async def test_operators_can_hang_up_but_run_nothing(pair: Pair) -> None:
    host, port = host_port(pair.deployment.ami)
    reader, writer = await asyncio.open_connection(host, port)

    async def action(name: str, **fields: str) -> str:
        lines = [f"Action: {name}", "ActionID: mine", *(f"{key}: {value}" for key, value in fields.items())]
        writer.write(("\r\n".join(lines) + "\r\n\r\n").encode())
        async with asyncio.timeout(60):
            while "ActionID: mine" not in (block := (await reader.readuntil(b"\r\n\r\n")).decode()):
                pass
        return block

    try:
        await reader.readline()
        assert "Success" in await action("Login", Username="operator", Secret="d;e")
        assert "Success" in await action("CoreStatus")
        assert "No such channel" in await action("Hangup", Channel="none")
        originate = {"Channel": "Local/1@default", "Application": "System", "Data": "id"}
        for name, fields in (
            ("Command", {"Command": "core show version"}),
            ("Originate", originate),
            ("GetConfig", {"Filename": "ari.conf"}),
            ("UpdateConfig", {"SrcFilename": "ari.conf", "DstFilename": "ari.conf"}),
            ("ModuleLoad", {"Module": "func_shell.so", "LoadType": "load"}),
            ("DBGet", {"Family": "a", "Key": "b"}),
        ):
            assert "Error" in await action(name, **fields), name
    finally:
        writer.close()
        await writer.wait_closed()


async def test_ari_is_closed_to_strangers_and_browsers(pair: Pair) -> None:
    url = f"http://{pair.deployment.http}/ari/asterisk/info"
    async with aiohttp.ClientSession() as session:
        async with session.get(url) as answer:
            assert answer.status == 401
        headers = credentials(pair)
        async with session.get(url, headers={**headers, "Origin": "https://evil.example"}) as answer:
            assert "Access-Control-Allow-Origin" not in answer.headers
        async with session.get(f"http://{pair.deployment.http}/httpstatus", headers=headers) as answer:
            assert answer.status == 404


async def test_more_connections_than_the_engine_needs_are_served(pair: Pair) -> None:
    limit = aiohttp.TCPConnector(limit=120)
    async with aiohttp.ClientSession(connector=limit, headers=credentials(pair)) as session, asyncio.timeout(60):
        url = f"http://{pair.deployment.http}/ari/channels"
        held = [await session.get(url) for _ in range(120)]
        assert {answer.status for answer in held} == {200}
        for answer in held:
            answer.release()


async def test_a_new_trunk_is_reloaded_without_touching_a_call(pair: Pair) -> None:
    port = pair.ports.one()
    added = {"other": Trunk(host=f"127.0.0.1:{port}", user="u", secret="x;y", register=True)}
    async with ari(pair) as client, SipPhone(host_port(pair.deployment.sip), "u", port=port) as far:
        await client.leg("kept-1", "919979270001")
        await client.of("Up", "kept-1")
        render_trunks(replace(pair.deployment, trunks={**pair.deployment.trunks, **added}))
        try:
            await client.request("PUT", "/asterisk/modules/res_pjsip.so")
            register = await far.request("REGISTER")
            assert register.headers["to"] == "<sip:u@127.0.0.1>"
            assert "<sip:u@127.0.0.1" in register.headers["contact"]
            far.answer(register, "200 OK")
            endpoint = {"endpoint": "PJSIP/15551112222@other", "app": "conf-test", "channelId": "new-1"}
            await client.request("POST", "/channels/create", **endpoint)
            await client.of("StasisStart", "new-1")
            await client.request("POST", "/channels/new-1/dial")
            invite = await far.request("INVITE")
            assert invite.first.startswith("INVITE sip:15551112222@")
            far.answer(invite, "486 Busy Here")
            assert (await client.of("ChannelDestroyed", "new-1"))["tech_cause"] == 486
            assert (await client.request("GET", "/channels/kept-1"))["state"] == "Up"
        finally:
            render_trunks(pair.deployment)
            await client.request("PUT", "/asterisk/modules/res_pjsip.so")
        assert await client.end("kept-1")
    assert (await pair.heard("919979270001")).answered


async def test_a_trunks_call_goes_to_the_engine_by_its_number(pair: Pair) -> None:
    async with ari(pair) as client:
        place_inbound(pair.carrier.folders, "15550001234", "15557000001", script=[(0.3, "12#")], hangup_after=6)
        entered = await client.wait(lambda event: event["type"] == "StasisStart")
        channel = entered["channel"]
        assert entered["args"] == ["flow", "inbound", "15557000001"]
        assert channel["caller"]["number"] == "15550001234"
        await client.request("POST", f"/channels/{channel['id']}/answer")
        await client.wait(lambda event: event["type"] == "ChannelDtmfReceived" and event["digit"] == "#")
        await client.of("StasisEnd", channel["id"])
        assert client.keys(channel["id"]) == "12#"
        caller = await pair.heard("15550001234")
        assert (caller.answered, caller.pressed) == (True, "12#")


async def test_the_engine_refuses_with_its_own_cause(pair: Pair) -> None:
    async with ari(pair) as client, trunk_peer(pair) as far:
        dialling = asyncio.create_task(far.dial("15557000002"))
        entered = await client.wait(lambda event: event["type"] == "StasisStart")
        await client.request("DELETE", f"/channels/{entered['channel']['id']}", reason="busy")
        assert (await dialling)[-1].status == 486


async def test_a_caller_from_outside_hears_an_announcement_while_the_engine_is_away(pair: Pair) -> None:
    async with trunk_peer(pair) as far:
        answers = [message.status for message in await far.dial("15557000003")]
    assert answers == [100, 183, 503], "told in early media, not charged"
    assert "Playback" in pair.ours.folders.cel.read_text()


async def test_phones_register_with_their_password_alone(pair: Pair) -> None:
    async with phone(pair, "101") as right, phone(pair, "102", "wrong") as wrong, phone(pair, "999", "x") as unknown:
        assert await right.register() == 200
        assert await wrong.register() in (401, 403)
        assert await unknown.register() in (401, 403)


@pytest.mark.parametrize("user", ["101", "carrier", "nobody"])
async def test_who_does_not_authenticate_does_not_call(pair: Pair, user: str) -> None:
    """Also not by naming oneself like a trunk: trunks are known by address alone."""
    async with SipPhone(host_port(pair.deployment.sip), user) as stranger:
        answers = await stranger.dial("919979270041", answer_password=False)
    assert [message.status for message in answers] == [401]
    assert not list(pair.results.glob("919979270041-*"))


@pytest.mark.parametrize(
    ("dialled", "argument"),
    [("919979270001", "919979270001"), ("*21#", "*21#"), ("+4930123456", "+4930123456"), ("100,evil&x", "100")],
)
async def test_what_a_phone_dials_goes_to_the_engine_and_only_keys_of_it(
    pair: Pair, dialled: str, argument: str
) -> None:
    async with ari(pair) as client, phone(pair, "103") as caller:
        dialling = asyncio.create_task(caller.dial(dialled))
        entered = await client.wait(lambda event: event["type"] == "StasisStart")
        assert entered["args"] == ["flow", "dial", argument]
        assert entered["channel"]["caller"]["number"] == "103"
        await client.request("DELETE", f"/channels/{entered['channel']['id']}")
        assert (await dialling)[-1].status >= 400


async def test_http_connections_are_kept(pair: Pair) -> None:
    host, port = host_port(pair.deployment.http)
    reader, writer = await asyncio.open_connection(host, port)
    request = f"GET /ari/channels HTTP/1.1\r\nHost: x\r\nAuthorization: {credentials(pair)['Authorization']}\r\n\r\n"
    try:
        for _ in range(3):
            writer.write(request.encode())
            async with asyncio.timeout(60):
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                await reader.readexactly(int(re.findall(r"Content-Length: *(\d+)", head, re.IGNORECASE)[0]))
            assert "200 OK" in head
            assert "Connection: close" not in head
    finally:
        writer.close()
        await writer.wait_closed()


async def test_the_echo_test_needs_no_engine(pair: Pair) -> None:
    async with phone(pair, "104") as caller:
        answers = await caller.dial("*43")
        assert answers[-1].status == 200
        assert await caller.hang_up(answers[-1]) == 200


async def test_phones_reach_each_other_while_the_engine_is_away(pair: Pair) -> None:
    async with phone(pair, "105") as caller, phone(pair, "106") as callee:
        assert await callee.register() == 200
        dialling = asyncio.create_task(caller.dial("106"))
        invite = await callee.request("INVITE")
        assert "105" in invite.headers["from"]
        callee.answer(invite, "180 Ringing")
        callee.answer(invite, "200 OK", sdp=True)
        answers = await dialling
        assert answers[-1].status == 200
        await callee.request("ACK")
        assert await caller.hang_up(answers[-1]) == 200
        callee.answer(await callee.request("BYE"), "200 OK")


async def test_an_absent_phone_has_a_mailbox_while_the_engine_is_away(pair: Pair) -> None:
    async with phone(pair, "105") as caller:
        answers = await caller.dial("110")
        assert answers[-1].status == 200
        cel = pair.ours.folders.cel

        async def mailbox() -> bool:
            return "VoiceMail" in cel.read_text()

        await eventually(mailbox, within=60, what="VoiceMail in the CEL")
        assert await caller.hang_up(answers[-1]) == 200


async def test_only_emergency_calls_leave_while_the_engine_is_away(pair: Pair) -> None:
    async with phone(pair, "107") as caller:
        refused = [message.status for message in await caller.dial("919979270011")]
        assert refused[-2:] == [183, 503]
        answers = await caller.dial("112")
        assert answers[-1].status == 200
        assert await caller.hang_up(answers[-1]) == 200
    assert (await pair.heard("112")).answered
    assert not list(pair.results.glob("919979270011-*"))
    assert "app 'conf-test' doesn't exist" in pair.log, "Stasis said that nobody is there"


async def test_nothing_is_left(pair: Pair) -> None:
    async def idle() -> bool:
        return "0 active channels" in await pair.ours.console("core show channels")

    await eventually(idle, within=60, what="end of all channels")
