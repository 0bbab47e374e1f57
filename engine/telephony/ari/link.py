"""The link to one Asterisk's ARI: connected for ever, told at once when it breaks.

A link is up from the moment its websocket is open, its event filter is set and an event came through, until requests or
events fail. Events of a gap are lost; whoever takes LinkRestored compares lists. Between two links requests fail at once
with LinkDown.

A websocket may stand and hear nothing: Asterisk takes an application away by its name when it clears up after the websocket
that had it before, also when ours has the name already (4 of 300 reconnections on a busy machine, Asterisk 22.10). So we
let the one before go, and ask for an event of our own at each sign of life.
"""

import asyncio
import json
import logging
import re
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import aioari
import structlog

from engine.config import AsteriskServer
from engine.errors import Gone, LinkDown, Refused, RequestTimedOut, TelephonyError
from engine.telephony.ari.http import AriHttp, Reply
from engine.telephony.ari.operations import Operations
from engine.telephony.ari.rest import RestSockets, has_rest
from engine.telephony.ari.translate import APPLICATION_REPLACED, translate, wanted
from engine.telephony.backoff import Backoff
from engine.telephony.events import LinkLost, LinkRestored, TelephonyEvent
from engine.telephony.port import Sink

HEARTBEAT: Final = 8.0
"""Seconds between two signs of life that are asked for; a silent link is given up after 1.5 times that."""
SECURITY_FLOOR: Final = {22: (22, 10, 1), 20: (20, 20, 1)}
"""Releases from which ARI refuses dangerous dialplan functions."""
_PROBES_LOST: Final = 2
_FIRST_PROBE: Final = 0.5
"""Seconds after a link came up: what is cleared up late is found early."""
_DEPARTURE: Final = 0.3
"""Seconds that a websocket of before has to go. The application of one with live channels stays listed for ever."""
_PROBE: Final = "trunkline-heard"
_TAKEN_OVER: Final = 30.0
"""Seconds before the application is taken back: two engines of one name must not push each other out all the time."""

WEIGHT = 0.05
"""Of one request in the mean of their durations."""

_log = structlog.get_logger(__name__)


class _Deaf(LinkDown):
    """The websocket stands and Asterisk does not know it."""


class AriLink:
    def __init__(self, server: AsteriskServer, app: str, sink: Sink, *, heartbeat: float = HEARTBEAT) -> None:
        self._server = server
        self._app = app
        self._sink = sink
        self._heartbeat = heartbeat
        self._base = server.ari.rstrip("/")
        self._http: AriHttp | None = None
        self._operations: Operations | None = None
        self._task: asyncio.Task[None] | None = None
        self._reader: asyncio.Task[None] | None = None
        self._taken_over = False
        self._backoff = Backoff()
        self._up = asyncio.Event()
        self._heard = asyncio.Event()
        """Something came since the last probe."""
        self.round_trip = 0.0
        """Seconds that a request takes, of late."""
        self.version = ""
        """Asterisk's, once it was up."""

    @property
    def up(self) -> bool:
        return self._up.is_set()

    async def wait_up(self) -> None:
        await self._up.wait()

    def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name=f"ari-{self._server.name}")

    async def stop(self) -> None:
        self._up.clear()
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None

    async def call(self, resource: str, nickname: str, **arguments: Any) -> Reply:
        """One operation of the server's own description, by its nickname. Raises the errors of AriHttp.request, and
        Refused (501) when the server does not know it."""
        if self._operations is None or not self._up.is_set():
            raise LinkDown(f"no link to {self._server.name}")
        began = time.monotonic()
        try:
            return await self._operations.call(resource, nickname, **arguments)
        finally:
            self.round_trip += (time.monotonic() - began - self.round_trip) * WEIGHT

    async def download(self, path: str, to: Path) -> None:
        if self._http is None or not self._up.is_set():
            raise LinkDown(f"no link to {self._server.name}")
        await self._http.download(self._base + path, to)

    async def _run(self) -> None:
        while True:
            try:
                await self._serve()
            except TelephonyError as error:
                tell = _log.debug if self._backoff.failures else _log.warning
                tell("ari link failed", server=self._server.name, error=str(error))
            except Exception:  # noqa: BLE001 - a server that answers nonsense today may be mended tomorrow
                _log.exception("ari link failed", server=self._server.name)
            await asyncio.sleep(_TAKEN_OVER if self._taken_over else self._backoff.next())

    async def _serve(self) -> None:
        """One link, from connecting to its loss."""
        server = self._server
        self._http = http = AriHttp(
            server.ari_user,
            server.ari_password.get_secret_value(),
            timeout=server.request_timeout,
            heartbeat=self._heartbeat,
        )
        rest = RestSockets(server.request_timeout)
        self._taken_over = False
        reader: asyncio.Task[None] | None = None
        try:
            client = aioari.Client(self._base, http)
            await client.init()
            self._operations = operations = Operations(client, http, self._base)
            client.on_event("*", self._take)
            await departed(operations, self._app)
            self._reader = reader = asyncio.create_task(client.run(self._app), name=f"ari-reader-{server.name}")
            await _opened(http, reader)
            await self._check_version(operations)
            await set_filter(http, self._base, self._app)
            await self._probe(operations)
            if has_rest(self.version):
                await rest.open(http, f"{self._base}/events", self._app)
                operations.send = rest.request
            self._came_up()
            await self._watch(operations, reader, rest)
        finally:
            self._went_down()
            await rest.close()
            if reader is not None:
                reader.cancel()
            await http.close()
            await asyncio.gather(*filter(None, (reader,)), return_exceptions=True)

    async def _watch(self, operations: Operations, reader: asyncio.Task[None], rest: RestSockets) -> None:
        """Until a connection ends, or requests have no answer or events don't come although all stand."""
        broken = asyncio.create_task(rest.broken.wait(), name=f"ari-broken-{self._server.name}")
        ends = {reader, broken}
        lost, pause = 0, min(_FIRST_PROBE, self._heartbeat)
        try:
            while lost < _PROBES_LOST:
                await asyncio.wait(ends, timeout=pause, return_when=asyncio.FIRST_COMPLETED)
                if any(each.done() for each in ends):
                    return
                pause = self._heartbeat
                probe = asyncio.create_task(self._failures(operations), name=f"ari-probe-{self._server.name}")
                try:
                    await asyncio.wait(ends | {probe}, return_when=asyncio.FIRST_COMPLETED)
                finally:
                    probe.cancel()
                failed = probe.result() if probe.done() else 0
                lost = lost + failed if failed else 0
        finally:
            broken.cancel()
        _log.warning("ari requests have no answer or events do not come", server=self._server.name)

    async def _failures(self, operations: Operations) -> int:
        """What a probe adds to those lost: the lack of events is certain at once, that of an answer may pass."""
        try:
            await self._probe(operations)
        except _Deaf:
            return _PROBES_LOST
        except (LinkDown, RequestTimedOut):
            return 1
        return 0

    async def _probe(self, operations: Operations) -> None:
        """Have Asterisk send an event. Raises _Deaf when it takes the request and nothing comes: a busy one sends others
        meanwhile."""
        self._heard.clear()
        try:
            await operations.call("events", "userEvent", eventName=_PROBE, application=self._app)
            async with asyncio.timeout(self._server.request_timeout):
                await self._heard.wait()
        except (Gone, TimeoutError) as error:
            raise _Deaf("Asterisk sends no events to this websocket") from error

    def _take(self, frame: Mapping[str, Any]) -> None:
        """The only listener: translate and hand on, at once."""
        self._heard.set()
        if frame["type"] == APPLICATION_REPLACED:
            self._replaced()
        event = translate(frame, self._server.name)
        if event is not None:
            self._tell(event)

    def _tell(self, event: TelephonyEvent) -> None:
        try:
            self._sink(event)
        except Exception:  # noqa: BLE001 - whatever the sink did, the next event must come through
            _log.exception("event not taken", server=self._server.name, event_type=type(event).__name__)

    def _replaced(self) -> None:
        """Another websocket took this application: ours stays open and hears nothing more."""
        _log.error("another engine took over this application name", server=self._server.name, app=self._app)
        self._taken_over = True
        if self._reader is not None:
            self._reader.cancel()

    def _came_up(self) -> None:
        self._backoff.reset()
        self._up.set()
        _log.info("ari link up", server=self._server.name, version=self.version)
        self._tell(LinkRestored(self._server.name, datetime.now(UTC)))

    def _went_down(self) -> None:
        if self._up.is_set():
            self._up.clear()
            _log.warning("ari link lost", server=self._server.name)
            self._tell(LinkLost(self._server.name, datetime.now(UTC)))

    async def _check_version(self, operations: Operations) -> None:
        reply = await operations.call("asterisk", "getInfo", only=["system"])
        self.version = str(reply.json()["system"]["version"])
        if not is_secure(self.version):
            _log.warning("asterisk is below the security floor", server=self._server.name, version=self.version)


async def set_filter(http: AriHttp, base: str, app: str) -> None:
    """Have Asterisk keep the events that we do not use to itself. The application must have its websocket already.
    Raises Refused when the server took the list for an empty one.

    aioari would send the body as ``{"filter": …}``, which Asterisk reads as an empty filter, without complaint. Asterisk
    walks through the list for each event of a call, so it is the short one: what is allowed. It would keep back answers
    of REST too, but those come on websockets of their own.
    """
    allowed = [{"type": name} for name in wanted()]
    reply = await http.request(
        "PUT",
        f"{base}/applications/{quote(app, safe='')}/eventFilter",
        headers={"Content-Type": "application/json"},
        data=json.dumps({"allowed": allowed}),
    )
    if len(reply.json()["events_allowed"]) != len(allowed):
        raise Refused("the event filter was not taken", status=reply.status)


def is_secure(version: str) -> bool:
    """Whether this release is at or above the security floor; unknown forms and later branches are."""
    numbers = re.match(r"(\d+)\.(\d+)(?:\.(\d+))?", version)
    if numbers is None:
        return True
    parts = tuple(int(part or 0) for part in numbers.groups())
    floor = SECURITY_FLOOR.get(parts[0])
    return parts >= floor if floor else parts[0] > max(SECURITY_FLOOR)


async def departed(operations: Operations, app: str) -> None:
    """Until Asterisk has forgotten who listened to ``app`` before, or _DEPARTURE later."""
    try:
        async with asyncio.timeout(_DEPARTURE):
            while True:
                await operations.call("applications", "get", applicationName=app)
                await asyncio.sleep(_DEPARTURE / 10)
    except (Gone, TimeoutError):
        return


async def _opened(http: AriHttp, reader: asyncio.Task[None]) -> None:
    """Until the websocket is open. Raises what the reader met instead."""
    opening = asyncio.create_task(http.websocket_open.wait(), name="ari-opening")
    try:
        await asyncio.wait({opening, reader}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        opening.cancel()
    if reader.done():
        reader.result()
        raise LinkDown("the event stream ended at once")


logging.getLogger("aioari").setLevel(logging.WARNING)
logging.getLogger("aioswagger11").setLevel(logging.WARNING)
