"""What a caller hears, and what is recorded of one, by AGI commands, one after the other.

A key ends an AGI command whatever the verb wants with it, so that each key is told, and where nobody stops it then, the
sound goes on at the sample at which it was broken off.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from engine.errors import Gone, RequestTimedOut
from engine.telephony import safe
from engine.telephony.agi.line import KEYS, AgiLine, Reply
from engine.telephony.events import PlaybackEnded, PlaybackStarted, RecordingEnded, RecordingStarted
from engine.telephony.port import Sink

_RATE: Final = 8000
"""Samples a second: what AGI counts offsets in."""
_TURNS: Final = 12
"""Turns of the loop in which a verb that was told of a key has stopped what plays, if it wants to."""
_SIGNS: Final = {"*": "star", "#": "pound"}


@dataclass(frozen=True, slots=True)
class Recording:
    """As ``Switch.record`` has it."""

    max_seconds: int = 0
    max_silence: int = 0
    beep: bool = False
    terminators: str = ""

    def command(self, file: str) -> str:
        """RECORD FILE hears no key but those that end it; it can't go on where one has ended it."""
        words = ["RECORD FILE", file, "wav", f'"{self.terminators}"', str(self.max_seconds * 1000 or -1)]
        words += ["BEEP"] if self.beep else []
        words += [f"s={self.max_silence}"] if self.max_silence else []
        return " ".join(words)


class Player:
    """Plays and records on one line; what is asked for meanwhile waits for its turn."""

    def __init__(self, line: AgiLine, server: str, sink: Sink, on_key: Callable[[str], None]) -> None:
        self._line = line
        self._server = server
        self._sink = sink
        self._on_key = on_key
        self._turn = asyncio.Lock()
        self._stopped: set[str] = set()
        self._stop = asyncio.Event()
        self._current = ""
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._spool: str | None = None
        self.silent_at_the_end: set[str] = set()
        """Recordings that a silence ended."""

    def owns(self, name: str) -> bool:
        """It is a playback or recording of this line that is not over."""
        return name in self._tasks

    def play(self, playback_id: str, media: Sequence[str]) -> None:
        self._spawn(playback_id, self._play(playback_id, media))

    def record(self, name: str, order: "Recording") -> None:
        self._spawn(name, self._record(name, order))

    def stop(self, name: str) -> None:
        if name in self._tasks:
            self._stopped.add(name)
            if name == self._current:
                self._stop.set()
                self._line.interrupt()

    async def silence(self) -> None:
        """Stop all, and wait until the line is free."""
        for name in list(self._tasks):
            self.stop(name)
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    def close(self) -> None:
        for task in self._tasks.values():
            task.cancel()

    def _spawn(self, name: str, work: "asyncio._CoroutineLike[None]") -> None:
        task = asyncio.get_running_loop().create_task(work, name=f"agi {name}")
        self._tasks[name] = task
        task.add_done_callback(lambda _: self._tasks.pop(name, None))

    # -- playing ---------------------------------------------------------------------------------------------------

    async def _play(self, playback_id: str, media: Sequence[str]) -> None:
        well = False
        try:
            async with self._turn:
                self._begin(playback_id)
                self._sink(PlaybackStarted(self._server, _now(), playback_id))
                well = await self._all(playback_id, media)
        except (Gone, RequestTimedOut):
            well = False
        finally:
            stopped = playback_id in self._stopped
            self._stopped.discard(playback_id)
            self._sink(PlaybackEnded(self._server, _now(), playback_id, failed=not (well or stopped)))

    def _begin(self, name: str) -> None:
        self._current = name
        self._stop.clear()
        if name in self._stopped:
            self._stop.set()

    async def _all(self, playback_id: str, media: Sequence[str]) -> bool:
        for uri in media:
            kind, _, rest = uri.partition(":")
            match kind:
                case "tone":
                    well = await self._tone(rest)
                case "digits":
                    well = await self._files(playback_id, [f"digits/{_SIGNS.get(key, key)}" for key in rest])
                case "number":
                    well = await self._spoken(f'SAY NUMBER {rest} "{KEYS}"')
                case "characters":
                    well = await self._spoken(f'SAY ALPHA {rest} "{KEYS}"')
                case "recording":
                    well = await self._files(playback_id, [f"{await self._recordings()}/{rest}"])
                case _:
                    well = await self._files(playback_id, [rest])
            if not well or playback_id in self._stopped:
                return well
        return True

    async def _files(self, playback_id: str, names: Sequence[str]) -> bool:
        for name in names:
            if playback_id in self._stopped:
                return True
            if not await self._file(playback_id, name):
                return False
        return True

    async def _file(self, playback_id: str, name: str) -> bool:
        offset = 0
        while playback_id not in self._stopped:
            began = _clock()
            reply = await self._line.send(f'STREAM FILE {safe.agi_argument(name)} "{KEYS}" {offset}', yields=True)
            reached = reply.endpos if reply.endpos is not None else offset + int((_clock() - began) * _RATE)
            if not await self._goes_on(reply):
                return reply.result == 0 and not reply.gone
            offset = reached
        return True

    async def _spoken(self, command: str) -> bool:
        """Digits and letters that Asterisk puts together itself: what a key broke off is not said to its end."""
        reply = await self._line.send(command, yields=True)
        return await self._goes_on(reply) or reply.result == 0

    async def _tone(self, name: str) -> bool:
        self._line.hums = True
        await self._line.ask(f"EXEC PlayTones {safe.agi_argument(name)}")
        await self._stop.wait()
        self._line.hums = False
        await self._line.ask('EXEC StopPlayTones ""')
        return True

    async def _goes_on(self, reply: Reply) -> bool:
        """A key, or another command, broke it off. Whoever heard of the key may stop it now."""
        if reply.key:
            self._on_key(reply.key)
            for _ in range(_TURNS):
                await asyncio.sleep(0)
        return bool(reply.key) or reply.cut

    # -- recording -------------------------------------------------------------------------------------------------

    async def _record(self, name: str, order: "Recording") -> None:
        reply = None
        try:
            async with self._turn:
                self._begin(name)
                file = safe.agi_argument(f"{await self._recordings()}/{name}")
                self._sink(RecordingStarted(self._server, _now(), name))
                began = _clock()
                if name not in self._stopped:
                    reply = await self._line.send(order.command(file))
                    self._heed(name, order, reply, _clock() - began)
        except (Gone, RequestTimedOut):
            reply = None
        finally:
            self._stopped.discard(name)
            well = reply is not None and reply.endpos is not None and reply.value not in {"writefile", "waitfor"}
            samples = (reply.endpos or 0) if reply is not None else 0
            self._sink(RecordingEnded(self._server, _now(), name, failed=not well, duration=samples / _RATE))

    def _heed(self, name: str, order: "Recording", reply: Reply, lasted: float) -> None:
        if reply.key:
            self._on_key(reply.key)
        elif reply.value == "timeout" and order.max_silence and (not order.max_seconds or lasted < order.max_seconds):
            self.silent_at_the_end.add(name)

    async def _recordings(self) -> str:
        """Asterisk's recording folder, which its ARI has too."""
        if self._spool is None:
            self._spool = await self._line.value("${ASTSPOOLDIR}")
        return f"{self._spool}/recording"


def _now() -> datetime:
    return datetime.now(UTC)


def _clock() -> float:
    return asyncio.get_running_loop().time()
