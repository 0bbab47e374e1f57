"""The yardstick of announcements: a bare ARI client that calls a number, plays it a sound and hangs up.

One ``POST /channels``, one play, one ``DELETE`` a call; told and answered by lines of JSON like ``tests.bench.bare``.
"""

import asyncio
import json
import sys
import time
from typing import Any

import aiohttp
import uvloop

from tests.bench.bare import CALLER_ID, CONNECTIONS, Bare, _read
from tests.bench.load import Load, Run
from tests.bench.orders import obey
from tests.bench.sip import AGENT

APP = "bare"
_EVENTS = ("StasisStart", "PlaybackFinished", "ChannelDestroyed")


class Announcer(Bare):
    async def run(self, task: dict[str, Any]) -> dict[str, Any]:
        self._media, self._first = task["media"], task["first"]
        self.sent, self.refused = {}, {}
        self._run = Run(Load(**task["load"]), self._begin)
        began = time.time_ns()
        unended = await self._run.finish()
        return {"sent": self.sent, "began": began, "ended": time.time_ns(), "unended": unended, "refused": self.refused}

    def _begin(self, i: int) -> None:
        number = f"{self._first + i:08d}"
        self.sent[number] = time.time_ns()
        endpoint = f"PJSIP/{AGENT.decode()}{number}@{self._trunk}"
        placing = self.request(
            "POST", "/channels", endpoint=endpoint, app=APP, channelId=f"a{number}", callerId=CALLER_ID, timeout=30
        )
        self._spawn(placing)

    def take(self, event: dict[str, Any]) -> None:
        match event["type"]:
            case "StasisStart":
                self._spawn(self.request("POST", f"/channels/{event['channel']['id']}/play", media=self._media))
            case "PlaybackFinished":
                channel = event["playback"]["target_uri"].removeprefix("channel:")
                self._spawn(self.request("DELETE", f"/channels/{channel}"))
            case "ChannelDestroyed" if self._run is not None:
                self._run.ended()


async def serve(base: str, user: str, password: str, trunk: str) -> None:
    session = aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=CONNECTIONS),
        headers={"Authorization": aiohttp.encode_basic_auth(user, password)},
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
    )
    async with session, session.ws_connect(f"{base}/events?app={APP}") as socket:
        allowed = {"allowed": [{"type": name} for name in _EVENTS]}
        async with session.put(f"{base}/applications/{APP}/eventFilter", json=allowed) as response:
            await response.read()
        announcer = Announcer(session, base, trunk)
        reader = asyncio.create_task(_read(socket, announcer))
        await obey(announcer.run)
        reader.cancel()
        await asyncio.gather(reader, return_exceptions=True)


if __name__ == "__main__":
    uvloop.run(serve(**json.loads(sys.stdin.readline())))
