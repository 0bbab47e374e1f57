"""The HTTP API as an account uses it, and what tests ask of a call most."""

import asyncio
import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Self

import aiohttp

from engine.testkit.poll import NotInTime, eventually

CALLER_ID = "15168148111"
DEADLINE = aiohttp.ClientTimeout(total=60)


@dataclass(frozen=True)
class Reply:
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def response(self) -> dict[str, Any]:
        """What stands in the envelope ``{"response": …}``."""
        inner = self.json["response"]
        assert isinstance(inner, dict)
        return inner

    def expect(self, status: int = 200) -> "Reply":
        assert self.status == status, f"{self.status} instead of {status}: {self.body[:600]!r}"
        return self


@dataclass
class Client:
    """Requests with an account's headers. An answer of any status is a Reply; no answer is aiohttp's error."""

    base: str
    account: str
    auth: str
    _session: aiohttp.ClientSession | None = field(default=None, init=False, repr=False)

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(timeout=DEADLINE, connector=aiohttp.TCPConnector(limit=8))
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._session is not None:
            await self._session.close()
            await asyncio.sleep(0)  # transports give their sockets back in the loop's next turn

    async def request(
        self, method: str, path: str, *, body: Any = None, headers: Mapping[str, str] | None = None
    ) -> Reply:
        """``body``: bytes as they are, anything else as JSON. ``headers`` win over the account's."""
        assert self._session is not None
        sent = {"account": self.account, "auth": self.auth, **(headers or {})}
        raw = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        if raw is not None:
            sent.setdefault("Content-Type", "application/json")
        async with self._session.request(method, self.base + path, data=raw, headers=sent) as answer:
            return Reply(answer.status, dict(answer.headers), await answer.read())

    async def post(self, path: str, body: Any, **headers: str) -> Reply:
        return await self.request("POST", path, body=body, headers=headers)

    async def get(self, path: str, headers: Mapping[str, str] | None = None) -> Reply:
        return await self.request("GET", path, headers=headers)

    # -- calls -----------------------------------------------------------------------------------------------------

    async def click2call(self, agent: str, destination: str, *, key: str | None = None, **fields: Any) -> str:
        """Place a call and give its request id. ``key``: an Idempotency-Key."""
        body = {"agent_number": agent, "destination_number": destination, "caller_id": CALLER_ID, **fields}
        headers = {"Idempotency-Key": key} if key else {}
        reply = await self.request("POST", "/api/click2call", body=body, headers=headers)
        return str(reply.expect().response["request_id"])

    async def call(self, request_id: str) -> dict[str, Any]:
        reply = await self.get(f"/api/calls/{request_id}")
        return dict(reply.expect().response["call"])

    async def calls(self, state: str = "live") -> list[dict[str, Any]]:
        return list((await self.get(f"/api/calls?state={state}&limit=500")).expect().response["calls"])

    async def events(self, request_id: str) -> list[dict[str, Any]]:
        return list((await self.get(f"/api/calls/{request_id}/events")).expect().response["events"])

    async def hang_up(self, request_id: str) -> Reply:
        return await self.request("DELETE", f"/api/calls/{request_id}")

    async def cdrs(self, request_id: str) -> list[dict[str, Any]]:
        reply = await self.post("/api/get_cdr_by_request_id", {"request_id": request_id})
        return list(reply.expect().response["result"])

    async def cdr(self, request_id: str, within: float = 60.0) -> dict[str, Any]:
        """The CDR of a call that has one; waits for it."""

        async def look() -> dict[str, Any] | None:
            rows = await self.cdrs(request_id)
            assert len(rows) <= 1, f"more than one CDR: {rows}"
            return rows[0] if rows else None

        return await eventually(look, within=within, what="CDR", tell=lambda: self.story(request_id))

    async def recording(self, name: str, within: float = 60.0) -> Reply:
        """The recording, once it is merged (the API says 202 until then)."""

        async def look() -> Reply | None:
            reply = await self.get(f"/api/recordings/{name}")
            return None if reply.status == 202 else reply

        return await eventually(look, within=within, what=f"merged recording {name}", every=0.2)

    # -- waiting ---------------------------------------------------------------------------------------------------

    async def wait_state(self, request_id: str, state: str, within: float = 60.0) -> dict[str, Any]:
        """The call as soon as it is in that state; NotInTime tells its timeline, also when it ended instead."""

        async def look() -> dict[str, Any] | None:
            call = await self.call(request_id)
            if call["state"] == "ended" != state:
                raise NotInTime(f"ended, and never {state}\n{await self.story(request_id)}")
            return call if call["state"] == state else None

        return await eventually(look, within=within, what=state, tell=lambda: self.story(request_id))

    async def wait_ended(self, request_id: str, within: float = 60.0) -> dict[str, Any]:
        return await self.wait_state(request_id, "ended", within)

    async def wait_leg(self, request_id: str, role: str, *states: str, within: float = 60.0) -> dict[str, Any]:
        """The leg of that role as soon as it is in one of these states."""

        async def look() -> dict[str, Any] | None:
            found = leg_of(await self.call(request_id), role)
            return found if found is not None and found["state"] in states else None

        return await eventually(
            look, within=within, what=f"{role} {' or '.join(states)}", tell=lambda: self.story(request_id)
        )

    async def story(self, request_id: str) -> str:
        """The call and its timeline, to be read by people."""
        try:
            call, events = await asyncio.gather(self.call(request_id), self.events(request_id))
        except (AssertionError, aiohttp.ClientError) as error:
            return f"{request_id}: {error}"
        legs = [
            f"  {leg['role']} {leg['number']} {leg['state']} sip={leg['sip_code']} q850={leg['q850']} {leg['hangup_by']}"
            for leg in call["legs"]
        ]
        lines = [f"  {event['at'][11:-1]} {event['type']} {_brief(event['data'])}" for event in events]
        return "\n".join([f"{request_id} {call['state']} {call['end_reason']}", *legs, *lines])


def leg_of(call: Mapping[str, Any], role: str) -> dict[str, Any] | None:
    """The latest leg of that role."""
    fitting = [leg for leg in call["legs"] if leg["role"] == role]
    return fitting[-1] if fitting else None


def at(text: str) -> datetime:
    """A time as the API writes it."""
    return datetime.fromisoformat(text).astimezone(UTC)


def seconds_between(first: str, then: str) -> float:
    return (at(then) - at(first)).total_seconds()


def new_key() -> str:
    return f"test-{random.getrandbits(64):016x}"


def _brief(data: Mapping[str, Any]) -> str:
    parts: Sequence[str] = [f"{key}={value}" for key, value in data.items() if key not in ("leg_id", "params")]
    return " ".join(parts)[:160]
