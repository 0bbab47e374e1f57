"""Makes the engine's parts, starts them, and stops them in reverse."""

import asyncio
import gc
import json
import random
import signal
import time
from collections.abc import Coroutine, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import structlog

from engine import log as logging_setup
from engine.api.server import Server, serve
from engine.app.agi_door import AgiDoor
from engine.app.desk import Desk
from engine.app.links import Links
from engine.calls.rooms import WEB
from engine.commands.context import Context, RoomDesk
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
    StoreError,
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
from engine.ops.systemd import Notifier
from engine.ops.watchdog import LoopWatchdog
from engine.ops.webhooks import WebhookCollector
from engine.sessions import reconcile
from engine.sessions.arrival import Arrivals
from engine.sessions.codes import Codes
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
from engine.store.port import RecordingRow
from engine.store.rooms import PgRooms
from engine.store.routes import PgRoutes
from engine.store.spool import Spool
from engine.store.tokens import PgTokens
from engine.store.transcripts import PgTranscripts
from engine.store.webhooks import CHANGED, PgHooks
from engine.telephony.agi.server import AgiServer
from engine.telephony.ami.link import AmiLink
from engine.telephony.ari.switch import AriSwitch
from engine.telephony.cel import CelFile
from engine.telephony.cel_reader import CelReader
from engine.telephony.events import TelephonyEvent
from engine.telephony.manager import ManagerEvent
from engine.telephony.queues import Queues
from engine.webhooks.feed import Feed
from engine.webhooks.resolve import Guard
from engine.webhooks.sender import Sender
from engine.webhooks.worker import Worker

log = structlog.get_logger(__name__)

DRAIN = 10.0
"""Seconds that a stopping engine lets live calls end by themselves."""
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
    """Everything that runs."""

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
        self.managers = [AmiLink(server, self._on_manager) for server in config.asterisk]
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
        lost_at = dict.fromkeys(self.switches, held.last_alive) if held.last_alive else {}
        self.registry = Registry(self._services(), self.switches, self.arrivals, self._on_link, lost_at=lost_at)
        self.desk = self._desk()
        self.links = self._links()
        self.dialer, self.queues = self._dialer()
        self.agi = AgiServer(config.fastagi, self._agi_door().take)
        self.watchdog = LoopWatchdog(self._flow_name)
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
            live_calls=self._live_calls,
            on_recorded=self.recordings.enqueue,
            prompts=PROMPTS,
            controls={**CONTROLS, **ROOM_CONTROLS},
            has_menu=lambda name: name in self.menus.book.entries,
            parked=self._parked,
            session_with=self._session_with,
            move=self._move,
            apologise=apologise,
            speaker=self.speaker,
            call_back=CallBacks(self.due),
            codes=self.codes,
        )

    def _desk(self) -> Desk:
        return Desk(
            self.config, self.registry, self.managers, self.journal, self.calls, self.accounts, self.routes,
            self.arrivals, self.operators, self.orders, self.call_book,
        )  # fmt: skip

    def _links(self) -> Links:
        return Links(
            self.registry, self.switches, self.cels, self.managers, self.device_watch, self.orders,
            lambda: self.context, self._task,
        )  # fmt: skip

    def _agi_door(self) -> AgiDoor:
        return AgiDoor(self.config, self.registry, self.switches, self.arrivals, self._flow_of)

    # What parts are handed that are made before the one they reach.

    def _dispatch(self, event: TelephonyEvent) -> None:
        self.registry.dispatch(event)

    def _on_link(self, event: TelephonyEvent) -> None:
        self.links.on_link(event)

    def _on_manager(self, event: ManagerEvent) -> None:
        self.links.on_manager(event)

    def _live_calls(self, account: str) -> int:
        return self.registry.live_calls(account)

    def _parked(self, account: str) -> Mapping[str, str]:
        return self.registry.parked(account)

    def _session_with(self, channel: str) -> Session | None:
        return self.registry.session_with(channel)

    def _move(self, channel: str, request_id: str) -> None:
        self.registry.move(channel, request_id)

    def _links_up(self) -> dict[tuple[str, str], bool]:
        ari = {("ari", name): switch.up for name, switch in self.switches.items()}
        return ari | {("ami", manager.name): manager.up for manager in self.managers}

    def _dialer(self) -> tuple[Dialer, Queues]:
        trunks = {name: trunk.max_calls for name, trunk in self.config.trunks.items() if trunk.max_calls}
        kinds: Mapping[str, Kind] = {
            CALLBACK: Callback(),
            INSTANT: Instant(self.library, self.menus.of_number),
            CAMPAIGN: CampaignKind(self.campaigns, Sounds(self.library, self.objects), self.speaker),
        }
        controls = {server.name: server.control for server in self.config.asterisk if server.control}
        queues = Queues(controls, lambda: bool(dialer.flying or dialer.holding))
        brake = Brake(
            self.config.dialer.max_calls,
            time.monotonic,
            lambda: max(switch.round_trip for switch in self.switches.values()),
            queues.flooded,
        )
        dialer = Dialer(
            self.config.engine_id, self.due, kinds, self.registry, self.calls, self.accounts, self.routes, brake,
            self.desk.accepting, trunks, self.config.dialer.keep_days,
        )  # fmt: skip
        return dialer, queues

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
            lambda: {name: self.registry.on_server[name] for name in self.switches}, self._links_up, self.journal,
            self.recordings.queue.qsize, lambda: self.watchdog.blocked,
        ).register(context.registry)  # fmt: skip
        context.registry.register(WebhookCollector(self.deliveries))
        context.registry.register(FeedCollector(self.feed))
        context.registry.register(DialerCollector(self.dialer))
        self.server = await serve(context)

    def _context(self) -> Context:
        return Context(
            config=self.config,
            calls=self.calls,
            journal=self.journal,
            accounts=self.accounts,
            routes=self.routes,
            engine=self.desk,
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
        self.desk.remembered.set()
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
        self._task(self.queues.run(), "queues of Asterisk")
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
        while not all(self.desk.ready().values()):
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

    def _flow_name(self, request_id: str) -> str | None:
        session = self.registry.sessions.get(request_id)
        return session.call.flow if session else None

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
            self._task(self.links.obey(told.removeprefix(ORDER)), "order")
        elif told is not None and told.startswith(STOPPED):
            self._task(self.links.stop_campaign(told.removeprefix(STOPPED)), "campaign stop")
        elif told is not None and told.startswith(HANGUP):
            self._task(self.links.hang_up(told.removeprefix(HANGUP)), "hangup")
