"""The composition root: the only module that names adapters. Starts the engine's parts, and stops them in reverse."""

import asyncio
import contextlib
import gc
import json
import random
import signal
import time
from collections import Counter
from collections.abc import Coroutine, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import structlog

from engine import log as logging_setup
from engine.api.server import Server, serve
from engine.calls.model import Call, replay
from engine.calls.rooms import WEB
from engine.commands import orders
from engine.commands.context import Context, LiveFlow, RoomDesk
from engine.config import Config
from engine.controls.rooms import ROOM_CONTROLS
from engine.controls.table import CONTROLS
from engine.dialer.brake import Brake
from engine.dialer.callback import Callback, CallBacks
from engine.dialer.campaign import CampaignKind
from engine.dialer.dialer import Dialer
from engine.dialer.instant import FLOW as INSTANT_CALL
from engine.dialer.instant import Instant
from engine.dialer.kinds import Kind
from engine.dialer.port import CALLBACK, CAMPAIGN, DUE_CALLS, INSTANT
from engine.errors import (
    NotFound,
    StateConflict,
    StoreAway,
    StoreError,
    TelephonyError,
    TrunklineError,
    Unavailable,
)
from engine.flows.apology import apologise
from engine.flows.call_tracking import CallTracking
from engine.flows.campaign import TYPE_1, CampaignType1
from engine.flows.conference.create import conference_of
from engine.flows.instant_call import InstantCall
from engine.flows.menus import ahead
from engine.flows.menus.create import TRACKING, mail_of, menus_of
from engine.flows.menus.flow import IVR, Ivr
from engine.flows.prompts import PROMPTS
from engine.flows.table import FLOWS
from engine.ids import room_of_recording
from engine.media import create as media
from engine.media.library.seed import seed as seed_sounds
from engine.media.library.sounds import Sounds
from engine.media.recordings import Recordings
from engine.media.tts.create import synthesizer
from engine.ops import lock
from engine.ops.devices import DeviceWatch
from engine.ops.dialer import DialerCollector
from engine.ops.feed import FeedCollector
from engine.ops.lock import StateLock
from engine.ops.metrics import EngineCollector
from engine.ops.operators import ASKED, obey
from engine.ops.systemd import Notifier
from engine.ops.watchdog import LoopWatchdog
from engine.ops.webhooks import WebhookCollector
from engine.sessions import reconcile
from engine.sessions.arrival import ENTRANCES, Arrivals
from engine.sessions.codes import Codes
from engine.sessions.inbox import Order
from engine.sessions.registry import Registry
from engine.sessions.rooms import LiveRooms
from engine.sessions.services import Flow, Services
from engine.sessions.session import Session
from engine.store.accounts import PgAccounts
from engine.store.call_book import PgCallBook, PgDevices
from engine.store.calls import PgCalls
from engine.store.campaigns import STOPPED, PgCampaigns
from engine.store.due import PgDue
from engine.store.feed import PgFeed
from engine.store.journal import PgJournal
from engine.store.lists import PgLists
from engine.store.media import PgMedia
from engine.store.migrate import migrate
from engine.store.operators import HANGUP, RELOAD, Operators
from engine.store.orders import ORDER, Orders
from engine.store.otp_templates import PgOtpTemplates
from engine.store.pool import Database
from engine.store.port import NewCall, RecordingRow
from engine.store.rooms import PgRooms
from engine.store.routes import PgRoutes
from engine.store.spool import Spool
from engine.store.tokens import PgTokens
from engine.store.transcripts import PgTranscripts
from engine.store.webhooks import CHANGED, PgHooks
from engine.telephony.agi.line import AgiLine
from engine.telephony.agi.request import AgiRequest
from engine.telephony.agi.server import AgiServer
from engine.telephony.agi.switch import AgiSwitch
from engine.telephony.ami.link import AmiLink
from engine.telephony.ari.switch import AriSwitch
from engine.telephony.cel import CelFile
from engine.telephony.cel_reader import CelReader
from engine.telephony.events import LinkRestored, TelephonyEvent
from engine.telephony.manager import ManagerEvent, UserEvent
from engine.webhooks.feed import Feed
from engine.webhooks.resolve import Guard
from engine.webhooks.sender import Sender
from engine.webhooks.worker import Worker

log = structlog.get_logger(__name__)

DRAIN = 10.0
"""Seconds that a stopping engine lets live calls end by themselves."""
ELSEWHERE = 5.0
"""Seconds that another engine has to end a call of its own that somebody deletes here."""
NO_FLOW = "no_flow"
"""The flow of an AGI request whose path could be none's name."""
RETRY = 0.25
"""Seconds between tries at a database that is not there yet."""


async def run(config: Config, *, seed: Path | None = None, notifier: Notifier | None = None) -> int:
    """Run one engine until SIGTERM or SIGINT; a second signal ends it at once. The exit code."""
    logging_setup.configure(form=config.log_format, level=config.log_level)
    with lock.hold(config.state) as held:
        engine = Engine(config, notifier or Notifier(), held)
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, engine.on_signal, stop)
        await engine.start(seed)
        await stop.wait()
        await engine.stop()
    return 0


class Engine:
    """Everything that runs, and what commands may ask of it (``EnginePort``)."""

    def __init__(self, config: Config, notifier: Notifier, held: StateLock) -> None:
        self.config = config
        self.held = held
        self.notifier = notifier
        self.database = Database(config.database.dsn.get_secret_value(), pool=config.database.pool)
        self.journal = PgJournal(self.database, Spool(config.state / "spool"))
        self.calls = PgCalls(self.database)
        self.accounts = PgAccounts(self.database)
        self.operators = Operators(self.database)
        self.orders = Orders(self.database)
        self.routes = PgRoutes(self.database)
        self.switches = {server.name: AriSwitch(server, config.app, self._dispatch) for server in config.asterisk}
        self.managers = [AmiLink(server, self._on_ami) for server in config.asterisk]
        self.cels = {server.name: self._cel(server.name, server.cel) for server in config.asterisk if server.cel}
        self.rooms = PgRooms(self.database)
        self.recordings = Recordings(
            self.calls, self.journal, self.switches, config.recordings, config.engine_id, self._room_recorded
        )
        self.library = media.library(config, PgMedia(self.database))
        self.objects = media.objects(config)
        self.transcriptions = media.transcriptions(config, PgTranscripts(self.database))
        self.speaker = synthesizer(config)
        self.otp_templates = PgOtpTemplates(self.database)
        self.lists = PgLists(self.database)
        self.campaigns = PgCampaigns(self.database)
        self.due = PgDue(self.database, config.engine_id)
        self.codes = Codes()
        self.tokens = PgTokens(self.database, self.accounts)
        self.call_book = PgCallBook(self.database)
        self.devices = PgDevices(self.database)
        self.device_watch = DeviceWatch(
            self.devices, self.managers, {phone.extension: phone.account for phone in config.softphones}
        )
        self.feed_log = PgFeed(self.database)
        self.feed = Feed(self.feed_log, config.engine_id)
        self.hooks = PgHooks(self.database)
        self.sender = Sender(Guard(config.webhooks.allow), ca=config.webhooks.ca)
        self.deliveries = Worker(self.hooks, self.sender)
        self.mail = mail_of(config)
        self.menus = menus_of(config, FLOWS)
        self.live_rooms = LiveRooms(self.switches, self.recordings.enqueue)
        self.conference = conference_of(self.rooms, self.live_rooms, self.library, self.objects)
        self.inbound_flows: Mapping[str, Flow] = {
            IVR: Ivr(self.menus, self.mail),
            TRACKING: CallTracking(self.mail),
            INSTANT_CALL: InstantCall(self.menus, self.mail),
            **self.conference.flows,
            TYPE_1: CampaignType1(Ivr(self.menus, self.mail)),
        }
        self.arrivals = self._arrivals()
        self.registry = Registry(self._services(), self.switches, self.arrivals, self._on_link)
        if held.last_alive:
            self.registry.lost_at = dict.fromkeys(self.switches, held.last_alive)
        self.dialer = self._dialer()
        self.agi, self.watchdog = AgiServer(config.fastagi, self._on_agi), LoopWatchdog(self._flow_name)
        self.remembered = asyncio.Event()
        """PostgreSQL was reached, the spool is drained, the calls of the last process are adopted."""
        self.hurry = asyncio.Event()
        """A second signal came."""
        self.tasks: set[asyncio.Task[None]] = set()
        self.server: Server | None = None

    def _services(self) -> Services:
        return Services(
            engine_id=self.config.engine_id,
            journal=self.journal,
            calls=self.calls,
            accounts=self.accounts,
            routes=self.routes,
            flow_of=self._flow_of,
            live_calls=self.live_calls,
            on_recorded=self.recordings.enqueue,
            prompts=PROMPTS,
            controls={**CONTROLS, **ROOM_CONTROLS},
            has_menu=lambda name: name in self.menus.book.entries,
            parked=self.parked,
            session_with=self.session_with,
            move=self.move,
            apologise=apologise,
            speaker=self.speaker,
            call_back=CallBacks(self.due),
            codes=self.codes,
        )

    def _dialer(self) -> Dialer:
        trunks = {name: trunk.max_calls for name, trunk in self.config.trunks.items() if trunk.max_calls}
        kinds: Mapping[str, Kind] = {
            CALLBACK: Callback(),
            INSTANT: Instant(self.library, self.menus.of_number),
            CAMPAIGN: CampaignKind(self.campaigns, Sounds(self.library, self.objects), self.speaker),
        }
        brake = Brake(
            self.config.dialer.max_calls,
            time.monotonic,
            lambda: max(switch.round_trip for switch in self.switches.values()),
        )
        return Dialer(
            self.config.engine_id, self.due, kinds, self.registry, self.calls, self.accounts, self.routes, brake,
            self.accepting, trunks,
        )  # fmt: skip

    def _flow_of(self, name: str) -> Flow | None:
        return self.inbound_flows.get(name) or FLOWS.get(name)

    def _cel(self, name: str, path: Path) -> CelReader:
        return CelReader(CelFile(path, self.config.state / f"cel-{name}.json"), self._oldest_call)

    def _oldest_call(self) -> datetime | None:
        return min((session.call.began_at for session in self.registry.sessions.values()), default=None)

    def _arrivals(self) -> Arrivals:
        phones = {phone.extension: phone.account for phone in self.config.softphones}
        return Arrivals(phones, self.config.default_account, self.menus.of_number, self.rooms)

    # -- start and stop --------------------------------------------------------------------------------------------

    async def start(self, seed: Path | None) -> None:
        """Answer ``/healthz`` at once, ``/readyz`` when memory and an Asterisk are there. Raises ConfigError."""
        self.database.listener.subscribe(self._on_notified)
        self.database.listener.subscribe(self.transcriptions.heard)
        self.database.listener.subscribe(self.feed.heard)
        self._task(self.held.live(), "signs of life")
        await self.database.open()
        await self.journal.start()
        await self.speaker.start()
        await asyncio.to_thread(self.menus.load)
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, self.reload)
        await self._serve()
        await self.agi.start()
        self._task(self._remember(seed), "remember")

    async def _serve(self) -> None:
        context = self.context = self._context()
        EngineCollector(
            lambda: {name: self.registry.on_server[name] for name in self.switches}, self._links, self.journal,
            self.recordings.queue.qsize, lambda: self.watchdog.blocked,
        ).register(context.registry)  # fmt: skip
        context.registry.register(WebhookCollector(self.deliveries))
        context.registry.register(FeedCollector(self.feed))
        context.registry.register(DialerCollector(self.dialer))
        self.server = await serve(context)

    def _links(self) -> dict[tuple[str, str], bool]:
        ari = {("ari", name): switch.up for name, switch in self.switches.items()}
        return ari | {("ami", manager.name): manager.up for manager in self.managers}

    def _context(self) -> Context:
        return Context(
            config=self.config,
            calls=self.calls,
            journal=self.journal,
            accounts=self.accounts,
            routes=self.routes,
            engine=self,
            library=self.library,
            objects=self.objects,
            transcripts=self.transcriptions.table,
            otp_templates=self.otp_templates,
            lists=self.lists,
            campaigns=self.campaigns,
            menu_exists=lambda name: name in self.menus.book.entries,
            due=self.due,
            menu_of=self.menus.of_number,
            rooms=RoomDesk(self.rooms, self.live_rooms, self.conference.stay),
            codes=self.codes,
            hooks=self.hooks,
            sender=self.sender,
            tokens=self.tokens,
            call_book=self.call_book,
            devices=self.devices,
            feed=self.feed,
        )

    async def _remember(self, seed: Path | None) -> None:
        """Wait for PostgreSQL for as long as it takes, then take up the calls of the last process, then the links."""
        seeds = json.loads(await asyncio.to_thread(seed.read_text)) if seed else {"accounts": []}
        while not await self._recall(seeds):
            await asyncio.sleep(RETRY * random.uniform(0.8, 1.2))
        self.remembered.set()
        for switch in self.switches.values():
            await switch.start()
        for manager in self.managers:
            await manager.start()
        for name, cel in self.cels.items():
            self._task(cel.run(), f"cel {name}")
        self._task(self.recordings.run(), "recordings")
        self._task(self.transcriptions.run(), "transcripts")
        self._task(self.library.run(), "media library")
        self._task(self.deliveries.run(), "web hooks")
        self._task(self.mail.run(), "mail")
        self._task(self.device_watch.run(), "devices")
        self._task(reconcile.sweep_forever(self.registry), "ghosts")
        self._task(self.dialer.run(), "dialer")
        self._task(self.live_rooms.run(self.registry.settled.__contains__), "rooms")
        self._task(self._announce_ready(), "ready")

    async def _recall(self, seeds: Mapping[str, Sequence[Mapping[str, Any]]]) -> bool:
        try:
            await migrate(self.config.database.dsn.get_secret_value())
            await self.accounts.seed(seeds["accounts"])
            await self.otp_templates.seed(seeds.get("otp_templates", ()))
            await seed_sounds(self.library, seeds.get("media", ()))
            await self.routes.seed()
            await self.routes.start()
            await self.accounts.start()
            await self.feed_log.begin(self.config.engine_id)
            await self.calls.start()
            await self.journal.drained.wait()
            await self.due.restart(self.config.engine_id)
            await self.rooms.seed(seeds.get("rooms", ()))
            await self.rooms.start()
            self.live_rooms.unfinished = await self._unfinished_rooms()
            adopted = await reconcile.adopt(self.registry)
            await self.recordings.recover()
            await self.transcriptions.recover()
        except StoreError as error:
            log.warning("waiting_for_postgresql", error=str(error))
            return False
        log.info("remembered", adopted=adopted)
        return True

    async def _unfinished_rooms(self) -> dict[str, RecordingRow]:
        """Room → its recording that goes on in Asterisk; of an earlier one that was never finished, what there is."""
        found: dict[str, RecordingRow] = {}
        rows = await self.rooms.open_recordings(self.config.engine_id)
        for row in sorted(rows, key=lambda row: row.started_at or datetime.min.replace(tzinfo=UTC)):
            earlier = found.get(room_of_recording(row.name))
            if earlier is not None:
                self.recordings.enqueue(earlier.name)
            found[room_of_recording(row.name)] = row
        return found

    async def _room_recorded(self, row: RecordingRow) -> None:
        kind = "room.recording_ready" if row.state == "ready" else "room.recording_failed"
        data = {"recording_name": row.name, "duration": row.duration, "size": row.size, "error": row.error}
        await self.rooms.tell(room_of_recording(row.name), kind, datetime.now(UTC), {"from": WEB, "data": data})

    async def _announce_ready(self) -> None:
        while not all(self.ready().values()):
            await asyncio.sleep(0.02)
        # What was imported and built so far stays for the engine's life: collections need not walk through it.
        gc.collect()
        gc.freeze()
        self._task(ahead.render(self.menus.book, self.speaker), "menus rendered")
        self.watchdog.start()
        log.info("ready", engine=self.config.engine_id)
        self.notifier.send("READY=1")
        await self.notifier.live()

    def reload(self) -> None:
        """Menus, anew from their files; live calls keep theirs."""
        self._task(self._reload(), "reload")

    async def _reload(self) -> None:
        await asyncio.to_thread(self.menus.reload)
        await ahead.render(self.menus.book, self.speaker)

    def on_signal(self, stop: asyncio.Event) -> None:
        if stop.is_set():
            self.hurry.set()
        stop.set()

    async def stop(self) -> None:
        """Refuse new calls, let live ones end for a while, leave the rest to the next engine, close in reverse."""
        self.notifier.send("STOPPING=1")
        self.watchdog.stop()
        self.registry.draining = True
        await self.dialer.stop()
        await self._drain()
        abandoned = self.registry.abandon()
        if abandoned:
            await asyncio.wait(abandoned, timeout=2)
        await self.feed.close()
        await self.agi.stop()
        if self.server is not None:
            await self.server.cleanup()
        await asyncio.gather(*(manager.stop() for manager in self.managers))
        await asyncio.gather(*(switch.stop() for switch in self.switches.values()))
        await self.live_rooms.close()
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        await self.speaker.close()
        await self.sender.close()
        await self.journal.close()
        await self.database.close()

    async def _drain(self) -> None:
        hurry = asyncio.create_task(self.hurry.wait())
        calls = [session.task for session in self.registry.sessions.values() if session.task]
        try:
            async with asyncio.timeout(DRAIN):
                while calls and not hurry.done():
                    await asyncio.wait([hurry, *calls], return_when=asyncio.FIRST_COMPLETED)
                    calls = [task for task in calls if not task.done()]
        except TimeoutError:
            log.warning("drained_in_part", calls=len(calls))
        finally:
            hurry.cancel()

    def _task(self, work: Coroutine[Any, Any, None], name: str) -> None:
        task = asyncio.create_task(work, name=name)
        self.tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self.tasks.discard(task)
        if not task.cancelled() and (error := task.exception()):
            log.error("task_failed", task=task.get_name(), exc_info=error)

    # -- links -----------------------------------------------------------------------------------------------------

    def _dispatch(self, event: TelephonyEvent) -> None:
        self.registry.dispatch(event)

    def _flow_name(self, request_id: str) -> str | None:
        session = self.registry.sessions.get(request_id)
        return session.call.flow if session else None

    async def _on_agi(self, line: AgiLine, request: AgiRequest) -> None:
        """A caller by FastAGI, until that one has gone. One whom we can't take goes on in the dialplan."""
        base = self._server_of(line, request)
        if base.name not in self.registry.settled:
            return
        if self._flow_of(request.flow) is None and request.flow not in ENTRANCES:
            line.send(f'VERBOSE "Trunkline has no flow called {request.flow or NO_FLOW}" 1')
        door = AgiSwitch(base, self.config.app, line, request, self._dispatch)
        params = (f"{name}={value}" for name, value in request.params.items())
        with contextlib.suppress(TelephonyError):
            event = await door.enter(("flow", request.flow or NO_FLOW, request.exten, *params))
            await self.arrivals.by_door(self.registry, door, event)

    def _server_of(self, line: AgiLine, request: AgiRequest) -> AriSwitch:
        """The server that is named in the request, else the one at the address that it comes from, else the first."""
        hosts = {server.name: urlsplit(server.ari).hostname for server in self.config.asterisk}
        here = [name for name, host in hosts.items() if host == line.peer]
        name = request.params.get("server", here[0] if here else "")
        return self.switches.get(name) or next(iter(self.switches.values()))

    def _on_ami(self, event: ManagerEvent) -> None:
        self.device_watch.heard(event)
        if isinstance(event, UserEvent) and event.name == ASKED:
            manager = next(each for each in self.managers if each.name == event.server)
            self._task(obey(self.context, manager, event), "operator")
        log.debug("ami", received=repr(event))

    def _on_notified(self, told: str | None) -> None:
        """``trunkline calls hangup`` asks every engine, through the database; the one that has the call ends it. A message
        in the outbox is for whichever engine takes it first."""
        if told in (None, CHANGED):
            self.deliveries.wake()
        if told in (None, DUE_CALLS):
            self.dialer.wake()
        elif told == RELOAD:
            self.reload()
        elif told is not None and told.startswith(ORDER):
            self._task(self._obey(told.removeprefix(ORDER)), "order")
        elif told is not None and told.startswith(STOPPED):
            self._task(self._stop_campaign(told.removeprefix(STOPPED)), "campaign stop")
        elif told is not None and told.startswith(HANGUP):
            self._task(self._hang_up(told.removeprefix(HANGUP)), "hangup")

    async def _hang_up(self, request_id: str) -> None:
        with contextlib.suppress(NotFound, StateConflict):
            await self.registry.end_call(request_id)

    async def _stop_campaign(self, campaign_id: str) -> None:
        """Let go of whom it rings; who has answered is let finish. What was placed in the moment of the stop comes to
        light within the next."""
        for _ in range(5):
            for session in list(self.registry.sessions.values()):
                if session.call.campaign_id == campaign_id and session.call.answered_at is None:
                    session.stop("cancelled")
            await asyncio.sleep(RETRY)

    def _on_link(self, event: TelephonyEvent) -> None:
        self.registry.settled.discard(event.server)
        log.warning("link", server=event.server, up=isinstance(event, LinkRestored))
        if isinstance(event, LinkRestored):
            self._task(self._reconcile(event.server), f"reconcile {event.server}")

    async def _reconcile(self, server: str) -> None:
        """Compare calls and channels; tried again while the link holds, for a list may come late on a busy server."""
        switch, cel = self.switches[server], self.cels.get(server) or reconcile.NoCel()
        while switch.up:
            try:
                await reconcile.server(self.registry, switch, cel)
            except (TelephonyError, StoreError) as error:
                log.warning("reconcile_again", server=server, error=repr(error))
                await asyncio.sleep(RETRY * random.uniform(1, 2))
            else:
                return

    # -- what commands ask (EnginePort) ----------------------------------------------------------------------------

    def ready(self) -> Mapping[str, bool]:
        return {
            "postgres": self.remembered.is_set() and not self.journal.away,
            "asterisk": any(switch.up and name in self.registry.settled for name, switch in self.switches.items()),
            "ami": any(manager.up for manager in self.managers),
        }

    def accepting(self) -> None:
        if not self.remembered.is_set():
            raise Unavailable("the engine is starting", retry_after=1)
        if self.journal.away and self.config.database.when_away == "refuse":
            raise Unavailable("PostgreSQL can't be reached", retry_after=2)
        self.registry.accepting()

    def live_calls(self, account: str) -> int:
        return self.registry.live_calls(account)

    async def start_call(self, call: NewCall) -> None:
        self.accepting()
        account = await self.accounts.get(call.account)
        if account is None:
            raise NotFound("no such account")
        try:
            await self.registry.start(call, account, self.registry.choose())
        except StoreAway as error:
            raise Unavailable("the call can't be kept", retry_after=2) from error

    def find(self, request_id: str) -> Call | None:
        return self.registry.find(request_id)

    async def end_call(self, request_id: str) -> None:
        try:
            await self.registry.end_call(request_id)
        except NotFound:
            await self._end_elsewhere(request_id)

    def parked(self, account: str) -> Mapping[str, str]:
        return self.registry.parked(account)

    def session_with(self, channel: str) -> Session | None:
        return self.registry.sessions.get(self.registry.owner(channel) or "")

    def move(self, channel: str, request_id: str) -> None:
        self.registry.move(channel, request_id)

    async def channel(self, account: str, name: str) -> tuple[str, str, str] | None:
        """Of this engine's calls, else of another one's."""
        if found := self.registry.channel(account, name):
            return found
        request_id = await self.orders.call_of_channel(account, name)
        if request_id is None or request_id in self.registry.sessions:
            return None
        call = replay(await self.calls.events(request_id, account) or ())
        leg = next((leg for leg in call.legs.values() if leg.alive and leg.channel == name), None)
        others = [call.legs[n].leg_id for n in call.parties if leg and n != leg.n and call.legs[n].alive]
        return (request_id, leg.leg_id, others[0] if others else "") if leg else None

    def leads_to(self, account: str, code: str) -> tuple[str, Mapping[str, Any]] | None:
        return self.arrivals.leads_to(self.routes.current(), account, code)

    async def live_flows(self, account: str) -> list[LiveFlow]:
        """Ours from memory, which events keep right; the others' as they have written them down, unless that is away."""
        found = Counter(
            (session.call.flow, session.call.direction, session.call.campaign_id is not None)
            for session in self.registry.sessions.values()
            if session.call.alive and session.call.account == account
        )
        with contextlib.suppress(StoreAway):
            for flow, direction, campaign, calls in await self.call_book.live_elsewhere(account, self.config.engine_id):
                found[flow, direction, campaign] += calls
        return [LiveFlow(*kind, calls) for kind, calls in found.items()]

    async def control(
        self, request_id: str, action: str, leg: str, fields: Mapping[str, Any], *, by: str = "api"
    ) -> Mapping[str, Any]:
        """Here, or in the engine that has the call."""
        order = Order(action, leg, fields, by)
        if request_id in self.registry.sessions or not await self.calls.is_live([request_id]):
            return await self.registry.control(request_id, order)
        return orders.given_back(
            await self.orders.ask(request_id, action, leg, fields, by=by, within=order.within + ELSEWHERE)
        )

    async def _obey(self, told: str) -> None:
        """An order that another process has for a call of ours."""
        request_id, _, number = told.partition(" ")
        if request_id not in self.registry.sessions:
            return
        row = await self.orders.find(int(number))
        if row is None:
            return
        try:
            answer = await orders.execute(
                self.context, row.request_id, row.action, row.leg, row.fields, by=row.asked_by
            )
        except TrunklineError as error:
            answer = orders.told(error)
        await self.orders.answer(int(number), answer)

    async def _end_elsewhere(self, request_id: str) -> None:
        """Ask the engine that has the call, another one of this database, and see that it ends. Raises Unavailable."""
        await self.operators.ask_hangup(request_id)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(ELSEWHERE):
                while await self.calls.is_live([request_id]):
                    await asyncio.sleep(RETRY * random.uniform(0.3, 0.5))
                return
        raise Unavailable("the engine that has the call does not answer", retry_after=5)
