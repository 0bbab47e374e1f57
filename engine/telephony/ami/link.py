"""The link to one Asterisk's manager interface, over panoramisk.

Walled off, each reproduced on panoramisk 1.4: an action that a disconnect cut off is sent again on the next link; it
does not check values, so that a line end in one adds headers; its reconnect knows no jitter; it pings and never looks
for the answer; the future of an action that will have no answer never ends. So each link has a manager of its own that
forgets, the reconnect and the sign of life are ours, and a lost link ends what waits for it.
"""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, Final

import panoramisk
import structlog
from panoramisk.actions import Action
from panoramisk.ami_protocol import AMIProtocol
from panoramisk.message import Message

from engine.config import AsteriskServer
from engine.errors import LinkDown, Refused, RequestTimedOut, TelephonyError, UnsafeValue
from engine.telephony import safe
from engine.telephony.ami.translate import translate
from engine.telephony.backoff import Backoff
from engine.telephony.manager import Fields, ManagerLost, ManagerSink, ManagerUp

HEARTBEAT: Final = 8.0
"""Seconds between two pings; one that has no answer in half of that ends the link."""
EVENT_CLASSES: Final = "system,user"
"""Call events come by ARI; here they would cost a millisecond of CPU a call."""
_REFUSED: Final = 400
_OURS: Final = frozenset({"action", "actionid", "commandid"})
"""They tie an answer to its action."""

_log = structlog.get_logger(__name__)


class AmiLink:
    """Implements ``engine.telephony.manager.Manager``."""

    def __init__(self, server: AsteriskServer, on_event: ManagerSink, *, heartbeat: float = HEARTBEAT) -> None:
        self._server = server
        self._on_event = on_event
        self._heartbeat = heartbeat
        self._manager: _Manager | None = None
        self._waiting: set[asyncio.Future[Any]] = set()
        self._task: asyncio.Task[None] | None = None
        self._backoff = Backoff()
        self._up = asyncio.Event()

    @property
    def name(self) -> str:
        return self._server.name

    @property
    def up(self) -> bool:
        return self._up.is_set()

    async def wait_up(self) -> None:
        await self._up.wait()

    async def start(self) -> None:
        """Begin to connect; ManagerUp tells when actions can be sent."""
        self._task = asyncio.create_task(self._run(), name=f"ami-{self.name}")

    async def stop(self) -> None:
        self._up.clear()
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None

    async def action(self, name: str, fields: Fields | None = None) -> list[dict[str, str]]:
        headers = _headers(name, fields or {})
        if self._manager is None or not self._up.is_set():
            raise LinkDown(f"no manager link to {self.name}")
        return await self._send(self._manager, headers, self._server.request_timeout)

    async def user_event(self, name: str, fields: Mapping[str, str] | None = None) -> None:
        await self.action("UserEvent", {"UserEvent": name, **(fields or {})})

    async def _run(self) -> None:
        while True:
            try:
                await self._serve()
            except TelephonyError as error:
                tell = _log.debug if self._backoff.failures else _log.warning
                tell("ami link failed", server=self.name, error=str(error))
            except Exception:  # noqa: BLE001 - a server that answers nonsense today may be mended tomorrow
                _log.exception("ami link failed", server=self.name)
            await asyncio.sleep(self._backoff.next())

    async def _serve(self) -> None:
        """One link, from connecting to its loss."""
        self._manager = manager = _Manager(self._take)
        try:
            await manager.open(self._server)
            await self._log_in(manager)
            self._came_up()
            await self._watch(manager)
        finally:
            manager.close()
            self._went_down()

    async def _log_in(self, manager: "_Manager") -> None:
        credentials = {
            "Username": self._server.ami_user,
            "Secret": self._server.ami_secret.get_secret_value(),
            "Events": EVENT_CLASSES,
        }
        await self._send(manager, _headers("Login", credentials), self._server.request_timeout)

    async def _watch(self, manager: "_Manager") -> None:
        """Until the connection is lost, or a ping has no answer."""
        while not await manager.lost_within(self._heartbeat):
            try:
                await self._send(manager, _headers("Ping", {}), self._heartbeat / 2)
            except RequestTimedOut:
                _log.warning("ami ping has no answer", server=self.name)
                return

    async def _send(
        self, manager: "_Manager", headers: dict[str, str | list[str]], timeout: float
    ) -> list[dict[str, str]]:
        future = manager.send_action(Action(headers))
        self._waiting.add(future)
        try:
            async with asyncio.timeout(timeout):
                answer = await future
        except TimeoutError as error:
            raise RequestTimedOut(f"{headers['Action']} had no answer within {timeout} s") from error
        finally:
            self._waiting.discard(future)
        messages = [_plain(message) for message in (answer if isinstance(answer, list) else [answer])]
        if messages[0].get("response") == "Error":
            raise Refused(f"{headers['Action']}: {messages[0].get('message', '')}", status=_REFUSED)
        return messages

    def _take(self, message: Message) -> None:
        event = translate(_plain(message), self.name)
        if event is not None:
            self._tell(event)

    def _came_up(self) -> None:
        self._backoff.reset()
        self._up.set()
        _log.info("ami link up", server=self.name)
        self._tell(ManagerUp(self.name))

    def _went_down(self) -> None:
        for future in self._waiting:
            if not future.done():
                future.set_exception(LinkDown(f"the manager link to {self.name} broke"))
        if self._up.is_set():
            self._up.clear()
            _log.warning("ami link lost", server=self.name)
            self._tell(ManagerLost(self.name))

    def _tell(self, event: Any) -> None:
        try:
            self._on_event(event)
        except Exception:  # noqa: BLE001 - whatever the listener did, the next event must come through
            _log.exception("manager event not taken", server=self.name)


class _Everything:
    """All actions are forgettable: none is sent a second time."""

    def __contains__(self, _: object) -> bool:
        return True


class _Manager(panoramisk.Manager):  # type: ignore[misc]
    """panoramisk's manager for one connection: no reconnect, no pinger, one listener."""

    def __init__(self, listener: Callable[[Message], None]) -> None:
        super().__init__(loop=asyncio.get_running_loop(), forgetable_actions=_Everything())
        self._listener = listener
        self._lost = asyncio.Event()

    async def open(self, server: AsteriskServer) -> None:
        host, _, port = server.ami.rpartition(":")
        try:
            async with asyncio.timeout(server.request_timeout):
                connected = await self.loop.create_connection(AMIProtocol, host.strip("[]"), int(port))
        except TimeoutError as error:
            raise RequestTimedOut(f"no connection to {server.ami} within {server.request_timeout} s") from error
        except OSError as error:
            raise LinkDown(f"no connection to {server.ami}: {type(error).__name__}") from error
        future = self.loop.create_future()
        future.set_result(connected)
        self.connection_made(future)
        self.pinger.cancel()

    async def lost_within(self, seconds: float) -> bool:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._lost.wait()
        return self._lost.is_set()

    def dispatch(self, event: Message) -> list[str]:
        self._listener(event)
        return []

    def connection_lost(self, exc: object) -> None:  # noqa: ARG002 - panoramisk's signature
        self._lost.set()


def _headers(name: str, fields: Fields) -> dict[str, str | list[str]]:
    """The headers of an action, each checked to stay on its line. Raises UnsafeValue."""
    headers: dict[str, str | list[str]] = {"Action": safe.header_name(name)}
    for header, value in fields.items():
        if header.lower() in _OURS:
            raise UnsafeValue(f"the header {header} is not the caller's to set")
        checked = [safe.header_value(each) for each in ([value] if isinstance(value, str) else value)]
        headers[safe.header_name(header)] = checked[0] if len(checked) == 1 else checked
    return headers


def _plain(message: Message) -> dict[str, str]:
    """The headers, names in lower case; of a repeated one the values are joined by line ends."""
    return {
        name.lower(): "\n".join(value) if isinstance(value, list) else str(value)
        for name, value in message.items()
        if value or name != "content"  # panoramisk's own, for the output of a command
    }
