"""The yardstick: a bare ARI client that makes the same calls the fastest way it can, and remembers nothing of them.

One process, one websocket with an event filter, at most 20 kept-alive connections, uvloop as in the engine. Three ways
to make the two legs:

* ``mixed``: ``POST /channels`` for the first, create and dial for the second, which is in the bridge before it rings.
  The yardstick.
* ``create``: create and dial for both, as the engine must so that a leg outlives it. About a tenth slower.
* ``originate``: ``POST /channels`` for both. Two requests fewer, and no faster: the second one is bridged after it has
  answered, and at 60 in flight one call in a hundred is over by then, without a word having been heard.

Told and answered by lines of JSON like the far end.
"""

import asyncio
import json
import sys
import time
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any
from urllib.parse import urlencode

import aiohttp
import uvloop
from yarl import URL

from tests.bench.load import Load, Run
from tests.bench.orders import obey
from tests.bench.sip import AGENT, CUSTOMER

APP = "bare"
CONNECTIONS = 20
CALLER_ID = "15168148111"
_EVENTS = ("StasisStart", "ChannelStateChange", "ChannelDestroyed")


@dataclass
class BareCall:
    number: str
    over: set[str] = field(default_factory=set)
    agent_up: bool = False
    bridge: asyncio.Task[None] | None = None


class Bare:
    def __init__(self, session: aiohttp.ClientSession, base: str, trunk: str) -> None:
        self._session = session
        self._base = base
        self._trunk = trunk
        self._tasks: set[asyncio.Task[None]] = set()
        self._way = "mixed"
        self._run: Run | None = None
        self._first = 0
        self._calls: dict[str, BareCall] = {}
        self.sent: dict[str, int] = {}
        self.refused: dict[str, int] = {}

    async def run(self, task: dict[str, Any]) -> dict[str, Any]:
        self._way, self._first = task["way"], task["first"]
        self._calls.clear()
        self.sent, self.refused = {}, {}
        self._run = Run(Load(**task["load"]), self._begin)
        cpu, began = time.process_time(), time.time_ns()
        unended = await self._run.finish()
        return {
            "sent": self.sent, "began": began, "ended": time.time_ns(), "unended": unended,
            "cpu": time.process_time() - cpu, "refused": self.refused,
        }  # fmt: skip

    # -- requests

    async def request(self, method: str, path: str, **params: str | int) -> None:
        url = URL(f"{self._base}{path}?{urlencode(params)}" if params else self._base + path, encoded=True)
        try:
            async with self._session.request(method, url) as response:
                await response.read()
                outcome = response.status
        except aiohttp.ClientError as error:
            self._refused(method, path, type(error).__name__)
            return
        if outcome >= HTTPStatus.BAD_REQUEST and (method, outcome) != ("DELETE", HTTPStatus.NOT_FOUND):
            self._refused(method, path, str(outcome))

    def _refused(self, method: str, path: str, why: str) -> None:
        key = f"{method} {path.split('/')[1]} {why}"
        self.refused[key] = self.refused.get(key, 0) + 1

    def _spawn(self, work: Any) -> "asyncio.Task[None]":
        task: asyncio.Task[None] = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def _begin(self, i: int) -> None:
        number = f"{self._first + i:08d}"
        self._calls[number] = BareCall(number)
        self._spawn(self._place("a", number, created=self._way == "create"))

    async def _place(self, side: str, number: str, *, created: bool) -> None:
        dialled = (AGENT if side == "a" else CUSTOMER).decode() + number
        common = {"endpoint": f"PJSIP/{dialled}@{self._trunk}", "app": APP, "channelId": side + number}
        self.sent.setdefault(number, time.time_ns())
        if created:
            await self.request("POST", "/channels/create", **common)
        else:
            await self.request("POST", "/channels", **common, callerId=CALLER_ID, timeout=30)

    # -- events

    def take(self, event: dict[str, Any]) -> None:
        channel = event["channel"]
        side, number = channel["id"][0], channel["id"][1:]
        call = self._calls.get(number)
        if call is None:
            return
        match event["type"]:
            case "StasisStart" if channel["state"] == "Up":
                self._up(call, side)
            case "StasisStart":
                self._spawn(self._dial(call, side))
            case "ChannelStateChange" if channel["state"] == "Up" and self._created(side):
                self._up(call, side)
            case "ChannelDestroyed":
                self._gone(call, side)

    def _created(self, side: str) -> bool:
        return self._way == "create" or (self._way == "mixed" and side == "c")

    def _up(self, call: BareCall, side: str) -> None:
        if side == "a" and not call.agent_up:
            call.agent_up = True
            call.bridge = self._spawn(self.request("POST", f"/bridges/b{call.number}", type="mixing"))
            self._spawn(self._place("c", call.number, created=self._way != "originate"))
        elif side == "c" and self._way == "originate":
            self._spawn(self._join(call))

    async def _dial(self, call: BareCall, side: str) -> None:
        if side == "c":
            await self._join(call)
        await self.request("POST", f"/channels/{side}{call.number}/dial", timeout=30)

    async def _join(self, call: BareCall) -> None:
        if call.bridge is not None and not call.bridge.done():
            await call.bridge
        pair = f"a{call.number},c{call.number}"
        await self.request("POST", f"/bridges/b{call.number}/addChannel", channel=pair)

    def _gone(self, call: BareCall, side: str) -> None:
        call.over.add(side)
        if len(call.over) == 1:
            self._spawn(self.request("DELETE", f"/channels/{'a' if side == 'c' else 'c'}{call.number}"))
            self._spawn(self.request("DELETE", f"/bridges/b{call.number}"))
        if len(call.over) == 2 or not call.agent_up:
            del self._calls[call.number]
            assert self._run is not None
            self._run.ended()


async def serve(base: str, user: str, password: str, trunk: str) -> None:
    session = aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=CONNECTIONS),
        headers={"Authorization": aiohttp.encode_basic_auth(user, password)},
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
    )
    async with session, session.ws_connect(f"{base}/events?app={APP}") as socket:
        await _filter(session, base)
        bare = Bare(session, base, trunk)
        reader = asyncio.create_task(_read(socket, bare))
        await obey(bare.run)
        reader.cancel()
        await asyncio.gather(reader, return_exceptions=True)


async def _filter(session: aiohttp.ClientSession, base: str) -> None:
    allowed = {"allowed": [{"type": name} for name in _EVENTS]}
    async with session.put(f"{base}/applications/{APP}/eventFilter", json=allowed) as response:
        answer = await response.json()
    assert len(answer["events_allowed"]) == len(_EVENTS), answer


async def _read(socket: aiohttp.ClientWebSocketResponse, bare: Bare) -> None:
    async for message in socket:
        bare.take(json.loads(message.data))


if __name__ == "__main__":
    uvloop.run(serve(**json.loads(sys.stdin.readline())))
