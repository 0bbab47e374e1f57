"""The speaker: checks, cache, one rendering for all who want the same, deadline, fallback."""

import asyncio
import contextlib
import hashlib
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar

import structlog

from engine.media.tts import files, sound
from engine.media.tts.files import Folder, Lease, NoRoom
from engine.media.tts.locks import exclusive
from engine.media.tts.port import EngineFailed, Speech, SpeechEngine, Spoken, Utterance
from engine.media.tts.resolve import resolve

L = TypeVar("L")

log = structlog.get_logger(__name__)

FORMAT = 1
"""Part of every key; raised when the same words are made to sound otherwise here."""
THREADS = 4


@dataclass(slots=True)
class Holding:
    """A file that calls of this process use: one lease for all of them."""

    lease: Lease
    on_last: Callable[[], None]
    users: int = 0

    def release(self) -> None:
        self.users -= 1
        if self.users == 0:
            self.on_last()


@dataclass(slots=True)
class Flight:
    """A rendering under way, and how many wait for it."""

    task: asyncio.Task[None] | None = None
    waiting: int = 0
    landed: Holding | None = None
    """Where it ended; each who waited is a user of it."""


class Synthesizer:
    """A ``Speaker`` with one engine and one folder. ``sounds``: that folder as Asterisk sees it, if elsewhere."""

    def __init__(
        self, engine: SpeechEngine, folder: Folder, *, deadline: float, fallback: str, sounds: Path | None = None
    ) -> None:
        self.engine = engine
        self.folder = folder
        self.deadline = deadline
        self.fallback = fallback
        self.sounds = sounds or folder.root
        self.rendered = 0
        """How often the engine spoke."""
        self.threads = ThreadPoolExecutor(THREADS, "tts")
        self.holdings: dict[str, Holding] = {}
        self.flights: dict[str, Flight] = {}

    async def start(self) -> None:
        """A folder that can't be written is told of in the log; everything said is then the fallback."""
        try:
            await self._in_thread(self.folder.prepare)
        except OSError as error:
            log.error("tts_folder", folder=str(self.folder.root), error=error.strerror)  # noqa: TRY400 - says enough
        await self.engine.start()

    async def close(self) -> None:
        tasks = [flight.task for flight in self.flights.values() if flight.task]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self.engine.close()
        self.threads.shutdown(wait=False, cancel_futures=True)

    # -- Speaker ---------------------------------------------------------------------------------------------------

    def check(self, speech: Speech) -> str:
        return resolve(speech, neural=self.engine.neural)[1]

    async def speak(self, speech: Speech) -> Spoken:
        utterance, note = resolve(speech, neural=self.engine.neural)
        try:
            async with asyncio.timeout(self.deadline):
                holding = await self._hold(self._key(utterance), utterance)
        except Exception as error:  # noqa: BLE001 - whatever it is, a caller waits to hear something
            return self._fell_back(error, note)
        return self._spoken(holding, note)

    async def speak_secret(self, speech: Speech) -> Spoken:
        utterance, note = resolve(speech, neural=self.engine.neural)
        try:
            async with asyncio.timeout(self.deadline):
                content = await self._render(utterance)
                lease = await self._leased(lambda: self.folder.put_once(content))
        except Exception as error:  # noqa: BLE001 - whatever it is, a caller waits to hear something
            return self._fell_back(error, note)
        return self._spoken(Holding(lease, lambda: _discard(lease), users=1), note)

    def media_uri(self, path: Path) -> str:
        """How Asterisk is told to play a file of the folder."""
        return f"sound:{(self.sounds / path.relative_to(self.folder.root)).with_suffix('')}"

    def _spoken(self, holding: Holding, note: str) -> Spoken:
        lease = holding.lease
        seconds = (lease.size - files.HEADER) / 2 / sound.RATE
        return Spoken(self.media_uri(lease.path), lease.path, seconds, note=note, on_close=holding.release)

    def _fell_back(self, error: Exception, note: str) -> Spoken:
        """Of an engine's error only what is known to be free of the text is told."""
        why = str(error) if isinstance(error, EngineFailed) else _why(error, self.deadline)
        log.warning("tts_fell_back", engine=self.engine.name, error=why)
        told = f"text to speech failed ({why}): recorded prompt"
        return Spoken(self.fallback, None, 0.0, fallback=True, note=f"{note}; {told}" if note else told)

    # -- one rendering for all -------------------------------------------------------------------------------------

    def _key(self, utterance: Utterance) -> str:
        told = [FORMAT, self.engine.name, self.engine.version, asdict(utterance)]
        return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()

    async def _hold(self, key: str, utterance: Utterance) -> Holding:
        """The file of ``key`` for one more user. Raises EngineFailed, OSError, TimeoutError."""
        if holding := self.holdings.get(key):
            holding.users += 1
            holding.lease.touch()
            return holding
        flight = self.flights.get(key) or self._take_off(key, utterance)
        flight.waiting += 1
        assert flight.task is not None
        try:
            await asyncio.shield(flight.task)
        except BaseException:
            if flight.landed is None:
                flight.waiting -= 1
            else:
                flight.landed.release()
            raise
        assert flight.landed is not None
        return flight.landed

    def _take_off(self, key: str, utterance: Utterance) -> Flight:
        flight = self.flights[key] = Flight()
        flight.task = asyncio.create_task(self._fly(key, utterance, flight), name=f"tts {key[:8]}")
        flight.task.add_done_callback(_heed)
        return flight

    async def _fly(self, key: str, utterance: Utterance, flight: Flight) -> None:
        """From its landing on, without a wait between, those who ask find the holding and not the flight."""
        try:
            async with asyncio.timeout(self.deadline):
                lease = await self._fetch(key, utterance)
        finally:
            del self.flights[key]
        flight.landed = self.holdings[key] = Holding(lease, lambda: self._unused(key, lease), flight.waiting)
        if not flight.waiting:
            self._unused(key, lease)

    def _unused(self, key: str, lease: Lease) -> None:
        del self.holdings[key]
        if self.folder.keeps(lease.path):
            lease.close()
        else:
            _discard(lease)

    async def _fetch(self, key: str, utterance: Utterance) -> Lease:
        """From the folder; else rendered, by one process at a time. Raises EngineFailed, OSError."""
        if lease := await self._leased(lambda: self.folder.take(key)):
            return lease
        async with exclusive(self.folder.lock(key)):
            if lease := await self._leased(lambda: self.folder.take(key)):
                return lease
            return await self._stored(key, await self._render(utterance))

    async def _stored(self, key: str, content: bytes) -> Lease:
        try:
            return await self._leased(lambda: self.folder.put(key, content))
        except NoRoom:
            log.warning("tts_cache_full", bytes=len(content))
            return await self._leased(lambda: self.folder.put_once(content))

    async def _render(self, utterance: Utterance) -> bytes:
        self.rendered += 1
        made = await self.engine.render(utterance)
        return sound.wav(await asyncio.to_thread(sound.telephone, made, utterance.volume))

    # -- threads ---------------------------------------------------------------------------------------------------

    async def _in_thread(self, work: Callable[[], None]) -> None:
        await asyncio.get_running_loop().run_in_executor(self.threads, work)

    async def _leased(self, work: Callable[[], L]) -> L:
        """What ``work`` leases, in a thread; a lease that comes after its asker was cancelled is given back."""
        future = asyncio.get_running_loop().run_in_executor(self.threads, work)
        try:
            return await asyncio.shield(future)
        except asyncio.CancelledError:
            future.add_done_callback(_give_back)
            raise


def _heed(flight: "asyncio.Task[None]") -> None:
    """Its error is known, also when all who waited have fallen back before it."""
    if not flight.cancelled():
        flight.exception()


def _give_back(future: "asyncio.Future[Any]") -> None:
    if future.cancelled() or future.exception() is not None:
        return
    if lease := future.result():
        lease.close()


def _why(error: Exception, deadline: float) -> str:
    if isinstance(error, TimeoutError):
        return f"nothing within {deadline:g} s"
    return getattr(error, "strerror", None) or type(error).__name__


def _discard(lease: Lease) -> None:
    with contextlib.suppress(OSError):
        lease.path.unlink()
    lease.close()
