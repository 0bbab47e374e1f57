"""What strangers send, and what stands in their way, over the running stack (issue 3, "Bad input")."""

import asyncio
import contextlib
import io
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import aiohttp
import pytest

from engine.embedded.environment import child_environment
from engine.testkit import numbers
from engine.testkit.client import CALLER_ID, new_key
from engine.testkit.poll import eventually
from engine.testkit.stack import Stack

GOOD = {"agent_number": "919979270001", "destination_number": "918000680002", "caller_id": CALLER_ID}


@pytest.fixture
async def refused(stack: Stack, no_leaks):
    """Send a body; the answer must have that status and nothing may be dialled."""
    before = len(await stack.api.calls("ended"))

    async def send(body, status: int, *, path="/api/click2call", **headers: str):
        reply = await stack.api.request("POST", path, body=body, headers=headers)
        told = reply.expect(status).response
        assert told["success"] == "false"
        assert told["message"]
        return told

    yield send
    refusals = [call for call in (await stack.api.calls("ended"))[: -before or None] if call["end_reason"] != "gate"]
    assert refusals == []


async def test_credentials(refused):
    for headers in ({"auth": "wrong"}, {"account": "nobody"}, {"auth": ""}, {"account": "account_2"}):
        assert (await refused(GOOD, 401, **headers))["message"] == "missing or wrong credentials"


async def test_bodies(refused):
    await refused(b"agent_number=1", 400)
    await refused(b"", 400)
    await refused(b"[]", 400)
    told = await refused("{“agent_number”:”919979270001″}".encode(), 400)
    assert "typographic" in told["message"]
    await refused(json.dumps(GOOD).encode(), 415, **{"Content-Type": "text/plain"})
    assert (await refused({**GOOD, "colour": "red"}, 422))["errors"] == {"colour": "unknown field"}
    assert set((await refused({}, 422))["errors"]) == set(GOOD)
    assert set((await refused({**GOOD, "recording_option": "loud"}, 422))["errors"]) == {"recording_option"}


@pytest.mark.parametrize("field", sorted(GOOD))
async def test_numbers(refused, field):
    for value in ("91x", "9199\r\nX: 1", "919979270001&PJSIP/101", "91997927|1", '"91"', "${EXTEN}", "9" * 16, ""):
        assert set((await refused({**GOOD, field: value}, 422))["errors"]) == {field}


async def test_the_gate_names_its_rule_and_leaves_an_event(refused, stack):
    assert (await refused({**GOOD, "caller_id": "15550001111"}, 403))["errors"] == {"rule": "caller_id"}
    assert (await refused({**GOOD, "destination_number": "19005551234"}, 403))["errors"] == {"rule": "premium"}
    newest = (await stack.api.calls("ended"))[0]
    assert (newest["end_reason"], newest["legs"]) == ("gate", [])
    events = await stack.api.events(newest["request_id"])
    assert [event["type"] for event in events] == ["call.created", "call.refused", "call.ended"]
    assert events[1]["data"]["rule"] == "premium"


async def test_what_is_unknown_or_foreign_is_404(stack, no_leaks):
    own = await stack.api.click2call(numbers.ending(numbers.BUSY), numbers.plain(), recording_option="on")
    await stack.api.wait_ended(own)
    await stack.api.cdr(own)
    for request_id in (own, "ffffffffff", "..%2f"):
        (await stack.api2.post("/api/get_cdr_by_request_id", {"request_id": request_id})).expect(404)
        for path in ("", "/events"):
            (await stack.api2.get(f"/api/calls/{request_id}{path}")).expect(404)
        (await stack.api2.request("DELETE", f"/api/calls/{request_id}")).expect(404)
    (await stack.api.request("DELETE", f"/api/calls/{own}")).expect(409)


async def test_a_recording_is_its_accounts_alone_and_names_do_not_climb(stack, no_leaks):
    request_id = await stack.api.click2call(numbers.plain(), numbers.ending("3001"), recording_option="on")
    name = (await stack.api.wait_ended(request_id))["recording_name"]
    whole = (await stack.api.recording(name)).expect(200)
    part = (await stack.api.get(f"/api/recordings/{name}", {"Range": "bytes=0-3"})).expect(206)
    assert part.body == whole.body[:4] == b"RIFF"
    (await stack.api2.get(f"/api/recordings/{name}")).expect(404)
    host, _, port = stack.api.base.removeprefix("http://").rpartition(":")
    for climbing in (f"../account_1/{name}", f"..%2faccount_1%2f{name}", "..%2f..%2fengine.yaml", "%2e%2e", ".."):
        assert b"HTTP/1.1 404" in await _raw_get(stack, host, int(port), f"/api/recordings/{climbing}")


async def _raw_get(stack: Stack, host: str, port: int, target: str) -> bytes:
    """A request whose path no client has tidied up."""
    reader, writer = await asyncio.open_connection(host, port)
    head = f"GET {target} HTTP/1.1\r\nHost: x\r\naccount: {stack.api.account}\r\nauth: {stack.api.auth}\r\n"
    writer.write(f"{head}Connection: close\r\n\r\n".encode())
    async with asyncio.timeout(60):
        answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    return answer


async def test_an_idempotency_key_places_one_call(stack, no_leaks):
    agent, key = numbers.ending("3000"), new_key()
    body = {**GOOD, "agent_number": agent, "destination_number": numbers.plain()}
    headers = {"Idempotency-Key": key}
    replies = await asyncio.gather(
        *(stack.api.request("POST", "/api/click2call", body=body, headers=headers) for _ in range(5))
    )
    ids = {reply.expect().response["request_id"] for reply in replies}
    assert len(ids) == 1
    changed = {**body, "transcript": "on"}
    (await stack.api.request("POST", "/api/click2call", body=changed, headers=headers)).expect(409)
    await stack.api.wait_ended(ids.pop())
    assert len(stack.calls_of(agent)) == 1


async def test_asterisk_away_is_503_with_advice_and_no_attempt_left_behind(stack, no_leaks):
    before = await _ids(stack)
    with _unsupervised(stack):
        killed = stack.kill("asterisk")
        await _refuses_calls(stack, "asterisk")
    await stack.wait_ready(name="asterisk", but=killed)
    assert await _ids(stack) == before


async def test_postgresql_away_is_503_with_advice_and_no_attempt_left_behind(stack, no_leaks):
    before = await _ids(stack)
    with _unsupervised(stack):
        killed = stack.kill("postgres")
        await _refuses_calls(stack, "postgres")
    await stack.wait_ready(name="postgres", but=killed)
    assert await _ids(stack) == before


@contextlib.contextmanager
def _unsupervised(stack: Stack) -> Iterator[None]:
    """Whatever dies stays dead meanwhile, however long a slow machine takes to look at it."""
    stack.kill("supervisor", signal.SIGSTOP)
    try:
        yield
    finally:
        stack.kill("supervisor", signal.SIGCONT)


async def _ids(stack: Stack) -> set[str]:
    return {call["request_id"] for state in ("live", "ended") for call in await stack.api.calls(state)}


async def _refuses_calls(stack: Stack, part: str) -> None:
    async def noticed():
        return not (await stack.api.get("/readyz")).json["parts"][part]

    await eventually(noticed, within=60, what=f"the engine noticing that {part} is away")
    reply = (await stack.api.post("/api/click2call", GOOD)).expect(503)
    assert int(reply.headers["Retry-After"]) >= 1


async def test_a_second_engine_on_one_state_folder_is_refused(stack):
    words = (sys.executable, "-P", "-m", "engine", "engine", "--config", str(stack.state / "engine.yaml"))
    done = await asyncio.to_thread(
        subprocess.run,
        words,
        cwd="/",
        env=child_environment({}),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 1
    assert "runs on" in done.stderr
    assert str(stack.engine_pid) in done.stderr


class TestCommandLine:
    """Administration of the running stack takes effect at once."""

    @pytest.fixture
    def cli(self, stack: Stack):
        async def run(*words: str, code: int = 0):
            command = (sys.executable, "-P", "-m", "engine", *words, "--json")
            environment = child_environment({"TRUNKLINE_STATE": str(stack.state)})
            done = await asyncio.to_thread(
                subprocess.run,
                command,
                cwd="/",
                env=environment,
                capture_output=True,
                text=True,
                timeout=120,
                check=False,
            )
            assert done.returncode == code, done.stderr
            return json.loads(done.stdout)

        return run

    @pytest.fixture
    async def fresh(self, cli, stack: Stack):
        """An account of the test's own: its name, and a function that sends a request as it."""
        name = f"acme-{os.urandom(4).hex()}"
        made = await cli("accounts", "create", name, "--country", "91", "--caller-id", CALLER_ID)
        headers = {"account": name, "auth": made["auth"]}

        async def send(path: str = "/api/click2call", body=None, auth: str | None = None):
            agent = numbers.ending(numbers.BUSY)
            sent = body or {**GOOD, "agent_number": agent}
            extra = {**headers, **({"auth": auth} if auth else {})}
            return await stack.api.request("POST", path, body=sent, headers=extra)

        return name, send

    async def test_secrets_limits_and_caller_ids(self, cli, fresh, no_leaks):
        name, send = fresh
        (await send()).expect(200)
        await cli("accounts", "limits", name, "concurrent_calls=0")
        assert (await _until(send, 403)).response["errors"] == {"rule": "concurrent_calls"}
        await cli("accounts", "limits", name, "concurrent_calls=5", "allowed_prefixes=44")
        await _until(send, 403, rule="prefix")
        await cli("accounts", "limits", name, "allowed_prefixes=", "requests_per_minute=1")
        reply = await _until(send, 429)
        assert 1 <= int(reply.headers["Retry-After"]) <= 60
        await cli("accounts", "limits", name, "requests_per_minute=0")
        await _until(send, 200)
        await cli("accounts", "callerids", name, "--remove", CALLER_ID)
        await _until(send, 403, rule="caller_id")
        rotated = await cli("accounts", "rotate", name, "--scopes", "read")
        await _until(send, 401)
        assert (await send(auth=rotated["auth"])).expect(403).response["errors"] == {"rule": "scope"}

    async def test_concurrent_calls_are_counted_exactly(self, cli, fresh, stack, no_leaks):
        name, send = fresh
        await cli("accounts", "limits", name, "concurrent_calls=3", "agent_ring=120")
        ringing = {**GOOD, "agent_number": numbers.ending(numbers.RINGS_FOR_EVER)}
        replies = await asyncio.gather(*(send(body=ringing) for _ in range(12)))
        assert sorted(reply.status for reply in replies) == [200] * 3 + [403] * 9
        for reply in replies:
            if reply.status == 200:
                await cli("calls", "hangup", reply.response["request_id"])

    async def test_a_denied_prefix_and_its_removal(self, cli, fresh, no_leaks):
        name, send = fresh
        route = await cli("routes", "add", "91", "deny", "--account", name)
        await _until(send, 403, rule="route")
        await cli("routes", "remove", str(route["id"]))
        await _until(send, 200)

    async def test_hangup_show_and_replay(self, cli, stack, no_leaks):
        request_id = await stack.api.click2call(numbers.plain(), numbers.plain())
        await stack.api.wait_state(request_id, "talking")
        (live,) = await cli("calls", "list")
        assert live["request_id"] == request_id
        await cli("calls", "hangup", request_id)
        ended = await stack.api.wait_ended(request_id)
        shown = await cli("calls", "show", request_id)
        assert shown["call"] == ended
        assert len(shown["cdr"]) == 1
        replayed = await cli("calls", "replay", request_id)
        assert replayed["same"], replayed["differences"]


async def _until(send, status: int, rule: str | None = None):
    """The answer, once what was changed has reached the engine."""

    async def look():
        reply = await send()
        fits = reply.status == status and rule in (None, reply.response.get("errors", {}).get("rule"))
        return reply if fits else None

    return await eventually(look, within=60, what=f"{status} {rule or ''}", every=0.1)


async def _chunks():
    for _ in range(20):
        yield b" " * 65_536


@pytest.mark.parametrize("body", [lambda: io.BytesIO(b" " * ((1 << 20) + 1)), _chunks], ids=["whole", "in chunks"])
async def test_a_body_over_the_limit(stack, body):
    headers = {"account": stack.api.account, "auth": stack.api.auth, "Content-Type": "application/json"}
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{stack.api.base}/api/click2call", data=body(), headers=headers) as answer,
    ):
        assert answer.status == 413
