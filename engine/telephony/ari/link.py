"""The link to one Asterisk's ARI: connected for ever, told at once when it breaks.

A link is up from the moment its websocket is open and its event filter is set until either fails. Events of a gap are
lost; whoever takes LinkRestored compares lists. Between two links requests fail at once with LinkDown.
"""

import asyncio
import json
import logging
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote
from weakref import WeakKeyDictionary

import aioari
import structlog

from engine.config import AsteriskServer
from engine.errors import LinkDown, Refused, RequestTimedOut, TelephonyError
from engine.telephony.ari.http import AriHttp, Reply
from engine.telephony.ari.translate import APPLICATION_REPLACED, translate, unwanted
from engine.telephony.backoff import Backoff
from engine.telephony.events import LinkLost, LinkRestored, TelephonyEvent
from engine.telephony.port import Sink

HEARTBEAT: Final = 8.0
"""Seconds between two signs of life that are asked for; a silent link is given up after 1.5 times that."""
SECURITY_FLOOR: Final = {22: (22, 10, 1), 20: (20, 20, 1)}
"""Releases from which ARI refuses dangerous dialplan functions."""
_PROBES_LOST: Final = 2
_TAKEN_OVER: Final = 30.0
"""Seconds before the application is taken back: two engines of one name must not push each other out all the time."""

WEIGHT = 0.05
"""Of one request in the mean of their durations."""

_log = structlog.get_logger(__name__)


class AriLink:
    def __init__(self, server: AsteriskServer, app: str, sink: Sink, *, heartbeat: float = HEARTBEAT) -> None:
        self._server = server
        self._app = app
        self._sink = sink
        self._heartbeat = heartbeat
        self._base = server.ari.rstrip("/")
        self._http: AriHttp | None = None
        self._client: aioari.Client | None = None
        self._task: asyncio.Task[None] | None = None
        self._reader: asyncio.Task[None] | None = None
        self._taken_over = False
        self._backoff = Backoff()
        self._up = asyncio.Event()
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
        if self._client is None or not self._up.is_set():
            raise LinkDown(f"no link to {self._server.name}")
        began = time.monotonic()
        try:
            return await _operate(self._client, resource, nickname, **arguments)
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
        self._taken_over = False
        reader: asyncio.Task[None] | None = None
        try:
            self._client = client = await connect(self._base, http)
            client.on_event("*", self._take)
            self._reader = reader = asyncio.create_task(client.run(self._app), name=f"ari-reader-{server.name}")
            await _opened(http, reader)
            await self._check_version(client)
            await set_filter(client, http, self._base, self._app)
            self._came_up()
            await self._watch(client, reader)
        finally:
            self._went_down()
            if reader is not None:
                reader.cancel()
            await http.close()
            await asyncio.gather(*filter(None, (reader,)), return_exceptions=True)

    async def _watch(self, client: aioari.Client, reader: asyncio.Task[None]) -> None:
        """Until the stream ends, or requests have no answer although it stands."""
        lost = 0
        while lost < _PROBES_LOST:
            await asyncio.wait({reader}, timeout=self._heartbeat)
            if reader.done():
                return
            probe = asyncio.create_task(_answers(client), name=f"ari-probe-{self._server.name}")
            try:
                await asyncio.wait({reader, probe}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                probe.cancel()
            lost = 0 if probe.done() and probe.result() else lost + 1
        _log.warning("ari requests have no answer", server=self._server.name)

    def _take(self, frame: Mapping[str, Any]) -> None:
        """The only listener: translate and hand on, at once."""
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

    async def _check_version(self, client: aioari.Client) -> None:
        reply = await _operate(client, "asterisk", "getInfo", only=["system"])
        self.version = str(reply.json()["system"]["version"])
        if not is_secure(self.version):
            _log.warning("asterisk is below the security floor", server=self._server.name, version=self.version)


async def connect(base: str, http: AriHttp) -> aioari.Client:
    """The client of aioari, its operations taken from the server's own description and put on the configured address: the
    description repeats our Host header with ``http:``, which is wrong behind a TLS proxy."""
    client = aioari.Client(base, http)
    await client.init()
    for resource in client.swagger.resources.values():
        described = resource.json["api_declaration"]["basePath"]
        for operation in resource.operations.values():
            operation.uri = base + operation.uri.removeprefix(described)
    return client


async def set_filter(client: aioari.Client, http: AriHttp, base: str, app: str) -> None:
    """Have Asterisk keep the events that we do not use to itself. The application must have its websocket already.
    Raises Refused when the server took the list for an empty one.

    aioari would send the body as ``{"filter": …}``, which Asterisk reads as an empty filter, without complaint.
    """
    disallowed = [{"type": name} for name in unwanted(client.event_models)]
    reply = await http.request(
        "PUT",
        f"{base}/applications/{quote(app, safe='')}/eventFilter",
        headers=_JSON,
        data=json.dumps({"disallowed": disallowed}),
    )
    if len(reply.json()["events_disallowed"]) != len(disallowed):
        raise Refused("the event filter was not taken", status=reply.status)


def is_secure(version: str) -> bool:
    """Whether this release is at or above the security floor; unknown forms and later branches are."""
    numbers = re.match(r"(\d+)\.(\d+)(?:\.(\d+))?", version)
    if numbers is None:
        return True
    parts = tuple(int(part or 0) for part in numbers.groups())
    floor = SECURITY_FLOOR.get(parts[0])
    return parts >= floor if floor else parts[0] > max(SECURITY_FLOOR)


@dataclass(frozen=True, slots=True)
class _Operation:
    """An operation of the server's own description, taken apart once and not at each request."""

    http: AriHttp
    method: str
    uri: str
    places: Mapping[str, str]
    """Parameter → path, query or body."""

    async def __call__(self, arguments: Mapping[str, Any]) -> Reply:
        uri, params, body = self.uri, {}, {}
        for name, value in arguments.items():
            if value is None:
                continue
            place = self.places[name]
            if place == "path":
                uri = uri.replace(f"{{{name}}}", quote(str(value), safe=""))
            elif place == "query":
                params[name] = ",".join(value) if isinstance(value, list) else value
            else:
                body[name] = value
        if not body:
            return await self.http.request(self.method, uri, params=params)
        return await self.http.request(self.method, uri, params=params, headers=_JSON, data=json.dumps(body))


_JSON: Final = {"Content-Type": "application/json"}
_prepared: WeakKeyDictionary[aioari.Client, dict[tuple[str, str], _Operation]] = WeakKeyDictionary()


async def _operate(client: aioari.Client, resource: str, nickname: str, **arguments: Any) -> Reply:
    """Past aioari's own calls: those walk through the description and write a debug line for each request, and read each
    answer a second time to make an object of it. Raises Refused (501) for what this server does not know."""
    known = _prepared.setdefault(client, {})
    operation = known.get((resource, nickname))
    if operation is None:
        operation = known[resource, nickname] = _prepare(client, resource, nickname)
    return await operation(arguments)


def _prepare(client: aioari.Client, resource: str, nickname: str) -> _Operation:
    try:
        operation = client.swagger.resources[resource].operations[nickname]
    except KeyError:
        raise Refused(f"this Asterisk has no {resource}.{nickname}", status=501) from None
    places = {each["name"]: each["paramType"] for each in operation.json.get("parameters", [])}
    return _Operation(operation.http_client, operation.json["httpMethod"], operation.uri, places)


async def _answers(client: aioari.Client) -> bool:
    """Whether requests are answered within their deadline."""
    try:
        await _operate(client, "asterisk", "ping")
    except (LinkDown, RequestTimedOut):
        return False
    return True


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
