"""Our Asterisk with the rendered configuration, the carrier simulator behind its front, and bare ARI to drive them.

No engine here: what is tested is the configuration, the dialplan and the simulator themselves.
"""

import asyncio
import base64
import contextlib
import json
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

from engine.config import Softphone, Trunk
from engine.embedded import asterisk, environment
from engine.embedded.carrier import CarrierFront, Heard, render_carrier, results
from engine.telephony.provision import Deployment, Folders, render
from engine.testkit.asterisks import Server
from engine.testkit.poll import eventually
from engine.testkit.ports import Ports
from tests.waiting import until

APP = "conf-test"
Event = dict[str, Any]
Address = tuple[str, int]


@dataclass
class Pair:
    ours: Server
    carrier: Server
    front: CarrierFront
    deployment: Deployment
    ports: Ports
    results: Path
    started_in: float
    """Seconds from exec until both had all their modules loaded."""

    @property
    def log(self) -> str:
        return (self.ours.folders.log / "messages.log").read_text()

    async def heard(self, number: str, after: int = 0) -> Heard:
        """The next finished call of ``number`` beyond the first ``after`` ones."""

        async def look() -> Heard | None:
            found = results(self.results, number)
            return found[after] if len(found) > after else None

        return await eventually(look, within=60, what=f"result of {number}")


@contextlib.asynccontextmanager
async def running_pair() -> AsyncIterator[Pair]:
    """Started in a folder of its own (with a space in its path), ended and removed at the end."""
    program = await asyncio.to_thread(asterisk.find, environment.read(), lambda _: None)
    with tempfile.TemporaryDirectory(prefix="trunkline conf ") as base, Ports() as ports:
        ours, carrier = (Server(program, folders(program, Path(base) / name)) for name in ("ours", "sim"))
        sip, http, ami, public, inner, probe = (ports.one() for _ in range(6))
        deployment = Deployment(
            folders=ours.folders,
            sip=f"127.0.0.1:{sip}",
            http=f"127.0.0.1:{http}",
            ami=f"127.0.0.1:{ami}",
            rtp=ports.rtp,
            ari_user="tester",
            ari_password="a;b\\;c",
            ami_user="operator",
            ami_secret="d;e",
            app=APP,
            fastagi="127.0.0.1:4573",
            softphones=tuple(Softphone(extension=str(n), password=f"w;{n}") for n in range(101, 111)),
            trunks={"carrier": Trunk(host=f"127.0.0.1:{public}"), "probe": Trunk(host=f"127.0.0.1:{probe}")},
            ringback="us",
        )
        render(deployment)
        kept = Path(base) / "carrier"
        peer = f"127.0.0.1:{sip}"
        render_carrier(carrier.folders, f"127.0.0.1:{inner}", ports.far_rtp, kept, peer, public=f"127.0.0.1:{public}")
        front = CarrierFront()
        began = time.monotonic()
        try:
            await front.start(("127.0.0.1", public), ("127.0.0.1", inner), ("127.0.0.1", sip))
            async with asyncio.TaskGroup() as both:
                both.create_task(ours.start())
                both.create_task(carrier.start())
            yield Pair(ours, carrier, front, deployment, ports, kept, time.monotonic() - began)
        finally:
            await asyncio.gather(ours.stop(), carrier.stop(), front.close())


def folders(program: asterisk.Asterisk, base: Path) -> Folders:
    names = ("etc", "var", "run", "log", "spool", "db", "keys")
    return Folders(modules=program.modules, data=program.data, **{name: base / name for name in names})


@dataclass
class Ari:
    """Bare ARI: requests, and the events of one application in the order they came."""

    base: str
    session: aiohttp.ClientSession
    events: list[Event] = field(default_factory=list)
    _changed: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def request(self, method: str, path: str, *, body: Any = None, **params: str) -> Any:
        async with self.session.request(method, self.base + path, params=params, json=body) as answer:
            text = await answer.text()
            assert answer.status < 300, f"{method} {path}: {answer.status} {text}"
            return json.loads(text) if text else None

    async def wait(self, wanted: Callable[[Event], bool], within: float = 60) -> Event:
        async with asyncio.timeout(within), self._changed:
            while True:
                for event in self.events:
                    if wanted(event):
                        return event
                await self._changed.wait()

    async def of(self, kind: str, channel: str, within: float = 60) -> Event:
        """The event ``kind`` of a channel; ``Up`` and ``Ringing`` are its state changes."""
        state = kind if kind in ("Up", "Ringing") else None
        name = "ChannelStateChange" if state else kind

        def wanted(event: Event) -> bool:
            found = event.get("channel", {})
            return bool(event["type"] == name and found["id"] == channel and state in (None, found["state"]))

        return await self.wait(wanted, within)

    def seen(self, channel: str) -> list[str]:
        """Types of the events of a channel so far, state changes by their state."""
        mine = [event for event in self.events if event.get("channel", {}).get("id") == channel]
        return [event["channel"]["state"] if event["type"] == "ChannelStateChange" else event["type"] for event in mine]

    def keys(self, channel: str) -> str:
        mine = [event for event in self.events if event.get("channel", {}).get("id") == channel]
        return "".join(event["digit"] for event in mine if event["type"] == "ChannelDtmfReceived")

    async def leg(self, channel: str, number: str, **variables: str) -> None:
        """Create and dial a leg over the trunk ``carrier``."""
        shown = {"CONNECTEDLINE(num)": "15168148111", **variables}
        endpoint = f"PJSIP/{number}@carrier"
        params = {"endpoint": endpoint, "app": APP, "channelId": channel}
        await self.request("POST", "/channels/create", body={"variables": shown}, **params)
        await self.of("StasisStart", channel)
        await self.request("POST", f"/channels/{channel}/dial")

    async def is_quiet(self) -> bool:
        """No channel lives. One outlives its last event by a moment."""
        return await self.request("GET", "/channels") == []

    async def forgotten(self) -> None:
        """Until Asterisk has cleared up after our websocket: it may take the name away from the next one until then. One
        whose channels just went may stay in the list, as deaf as it is."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(1):
                while await self.request("GET", "/applications"):
                    await asyncio.sleep(0.02)

    async def heard(self) -> None:
        """Until an event of our own came through."""
        await self.request("POST", "/events/user/heard", application=APP)
        await self.wait(lambda event: event["type"] == "ChannelUserevent")

    async def end(self, channel: str) -> Event:
        await self.request("DELETE", f"/channels/{channel}")
        return await self.of("ChannelDestroyed", channel)

    async def read(self, socket_: aiohttp.ClientWebSocketResponse) -> None:
        async for message in socket_:
            async with self._changed:
                self.events.append({**json.loads(message.data), "at": time.time()})
                self._changed.notify_all()


def credentials(pair: Pair) -> dict[str, str]:
    """Header of a request to ARI (aiohttp's own BasicAuth is deprecated)."""
    words = f"{pair.deployment.ari_user}:{pair.deployment.ari_password}"
    return {"Authorization": "Basic " + base64.b64encode(words.encode()).decode()}


@contextlib.asynccontextmanager
async def ari(pair: Pair) -> AsyncIterator[Ari]:
    """The application ``conf-test``, registered for as long as this lasts; then the engine is away."""
    deployment = pair.deployment
    headers = credentials(pair)
    timeout = aiohttp.ClientTimeout(total=60)
    async with aiohttp.ClientSession(headers=headers, timeout=timeout) as session:
        client = Ari(f"http://{deployment.http}/ari", session)
        async with session.ws_connect(f"{client.base}/events", params={"app": APP}) as events:
            reader = asyncio.create_task(client.read(events))
            try:
                await client.heard()
                yield client
                await until(client.is_quiet, within=60)
            finally:
                for channel in await client.request("GET", "/channels"):
                    await client.request("DELETE", f"/channels/{channel['id']}")
                reader.cancel()
                await asyncio.gather(reader, return_exceptions=True)
        await client.forgotten()
