"""One click-to-call made and watched through the HTTP interface, as any customer could."""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import aiohttp

from engine.embedded.carrier import tone_hz
from engine.errors import TrunklineError
from engine.testkit.audio import tone_seconds
from engine.testkit.heard import last_call

AGENT, CUSTOMER, CALLER_ID = "919979270001", "918000680002", "15168148111"
_TALK_SECONDS = 3.0
_PATIENCE = 60.0
_POLL = 0.1
_TOLD = ("flow", "number", "step", "sip_code", "q850", "hangup_by", "end_reason", "rule", "reason", "media", "key")
"""What a line of the timeline shows of an event's data, in this order."""


class DemoFailed(TrunklineError):
    """The call did not go as it should; the message says where."""


@dataclass(frozen=True)
class Doors:
    """Where the interface is and who asks."""

    api: str
    account: str
    auth: str = field(repr=False)

    def session(self) -> aiohttp.ClientSession:
        headers = {"account": self.account, "auth": self.auth}
        return aiohttp.ClientSession(self.api, headers=headers, timeout=aiohttp.ClientTimeout(total=60))


async def show_call(doors: Doors) -> None:
    """Make the call, print its timeline as it happens and then its CDR. Raises DemoFailed."""
    async with doors.session() as http:
        request_id = await _place(http)
        print(f"\nclick-to-call {request_id}: agent {AGENT}, then customer {CUSTOMER}\n")
        timeline = _Timeline(http, request_id)
        await timeline.follow(until="call.bridged")
        await timeline.follow(seconds=_TALK_SECONDS)
        await _ask(http, "DELETE", f"/api/calls/{request_id}")
        await timeline.follow(until="call.ended")
        print(f"\nits CDR, by POST /api/get_cdr_by_request_id:\n\n{await _cdr(http, request_id)}")


async def _place(http: aiohttp.ClientSession) -> str:
    body = {"agent_number": AGENT, "caller_id": CALLER_ID, "destination_number": CUSTOMER, "recording_option": "off"}
    answer = json.loads(await _ask(http, "POST", "/api/click2call", body))
    return str(answer["response"]["request_id"])


async def _cdr(http: aiohttp.ClientSession, request_id: str) -> str:
    """The answer as it came, once it has the row. Raises DemoFailed when that row is missing or not ANSWERED."""
    for _ in range(int(_PATIENCE / _POLL)):
        text = await _ask(http, "POST", "/api/get_cdr_by_request_id", {"request_id": request_id})
        rows = json.loads(text)["response"]["result"]
        if rows:
            if [row["call_status"] for row in rows] != ["ANSWERED"]:
                raise DemoFailed(f"the CDR does not say ANSWERED: {text}")
            return text
        await asyncio.sleep(_POLL)
    raise DemoFailed(f"no CDR after {_PATIENCE:.0f} s")


class _Timeline:
    def __init__(self, http: aiohttp.ClientSession, request_id: str) -> None:
        self._http = http
        self._call = f"/api/calls/{request_id}"
        self._shown = 0
        self._began: datetime | None = None
        self._seen: set[str] = set()

    async def follow(self, *, until: str | None = None, seconds: float = _PATIENCE) -> None:
        """Print what is new until an event of the type ``until``; without it, for ``seconds``."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + seconds
        while until not in self._seen:
            await self._print_new()
            if "call.ended" in self._seen and until != "call.ended":
                raise DemoFailed("the call ended early; its timeline is above")
            if loop.time() > deadline:
                if until is None:
                    return
                raise DemoFailed(f"no {until} within {seconds:.0f} s")
            await asyncio.sleep(_POLL)

    async def _print_new(self) -> None:
        answer = json.loads(await _ask(self._http, "GET", f"{self._call}/events"))
        events = answer["response"]["events"][self._shown :]
        if not events:
            return
        legs = json.loads(await _ask(self._http, "GET", self._call))["response"]["call"]["legs"]
        roles = {leg["leg_id"]: leg["role"] for leg in legs}
        for event in events:
            self._seen.add(event["type"])
            self._began = self._began or _time(event)
            after = (_time(event) - self._began).total_seconds()
            print(f"  {after:7.3f} s  {roles.get(event['leg_id'], ''):<9} {line(event)}", flush=True)
        self._shown += len(events)


def _time(event: Mapping[str, Any]) -> datetime:
    return datetime.fromisoformat(event["at"])


def line(event: Mapping[str, Any]) -> str:
    """An event as a line for people: ``leg.ended  sip_code=486 hangup_by=callee``; the whole of it is in the API."""
    data = " ".join(f"{key}={event['data'][key]}" for key in _TOLD if event["data"].get(key) not in (None, "", [], {}))
    return f"{event['type']:<17} {data}".rstrip()


async def _ask(http: aiohttp.ClientSession, method: str, path: str, body: Mapping[str, str] | None = None) -> str:
    try:
        async with http.request(method, path, json=body) as response:
            text = await response.text()
    except (aiohttp.ClientError, TimeoutError) as error:
        raise DemoFailed(f"{method} {path}: {error or 'no answer in time'}") from error
    if not response.ok:
        raise DemoFailed(f"{method} {path}: {response.status} {text[:300]}")
    return text


async def show_hearing(carrier: Path) -> None:
    """Say what each phone heard, as measured in what the simulator kept. Raises DemoFailed when one heard nothing."""
    print("\nwhat the two phones heard (each talks with a tone of its own):\n")
    for number, other in ((AGENT, CUSTOMER), (CUSTOMER, AGENT)):
        heard = await last_call(carrier, number)
        seconds = tone_seconds(heard.samples, tone_hz(other))
        print(f"  {number} heard {seconds:.1f} s of {tone_hz(other)} Hz, the tone of {other}")
        if seconds < _TALK_SECONDS / 2:
            raise DemoFailed(f"{number} did not hear {other}")
