"""The telephony port for a caller who came by FastAGI: AGI commands for that one channel, ARI for everybody else.

AGI knows one channel, one command at a time, and no bridge. So parties that a flow dials are ARI's, as behind the other
door, and for a talk the caller's channel is lent: ``EXEC Stasis`` hands it to our ARI application, which commands it from
then on (docs/dialplan.md, ADR 21). What AGI has no command for is Unsupported, also while the channel is lent: a flow
must not work on one day alone.
"""

import asyncio
import wave
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import structlog

from engine import ids
from engine.errors import Gone, RequestTimedOut, TelephonyError, UnsafeValue, Unsupported
from engine.telephony import safe
from engine.telephony.agi.line import AgiLine
from engine.telephony.agi.player import Player, Recording
from engine.telephony.agi.request import AgiRequest
from engine.telephony.events import (
    Channel,
    ChannelEntered,
    ChannelGone,
    ChannelHangupRequested,
    ChannelUp,
    DtmfReceived,
    TelephonyEvent,
)
from engine.telephony.port import BridgeInfo, Sink, Switch

log = structlog.get_logger(__name__)

KEY_LASTS: Final = 100
"""Milliseconds; AGI does not tell."""
COMES_BACK_WITHIN: Final = 3.0
_UP: Final = 6
"""``CHANNEL STATUS`` of one that is up."""


@dataclass(frozen=True, slots=True)
class _Application:
    """One of the dialplan's, as ``dialplan/trunkline.conf`` runs it: its name, its arguments of TRUNKLINE_ARG and
    TRUNKLINE_ARG2, and the variables that have its results."""

    name: str
    arguments: str
    results: tuple[str, ...]


_APPLICATIONS: Final = {
    "voicemail": _Application("VoiceMail", "{0},{1}", ("VMSTATUS",)),
    "silence": _Application("WaitForSilence", "{0},1,{1}", ("WAITSTATUS",)),
    "amd": _Application("AMD", ",,,{0}", ("AMDSTATUS", "AMDCAUSE")),
}
_ARGUMENTS: Final = ("TRUNKLINE_ARG", "TRUNKLINE_ARG2")


class AgiSwitch:
    """Implements ``engine.telephony.port.Door``. ``app``: name of the engine's ARI application. ``sink`` hears of the
    caller's channel; of all others it hears by ``base``."""

    def __init__(self, base: Switch, app: str, line: AgiLine, request: AgiRequest, sink: Sink) -> None:
        self._base = base
        self._app = app
        self._line = line
        self._request = request
        self._sink = sink
        self._player = Player(line, base.name, sink, self._pressed)
        self._state = "Ring"
        self._request_id = ""
        self._handed_over: Callable[[], Awaitable[bool]] = _at_once
        self._lent = False
        self._values: dict[str, str] = {}
        self._asked = False
        self._told_end = False
        self._ended = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        line.on_key, line.on_hangup, line.on_end = self._pressed, self._hung_up, self._connection_over

    @property
    def name(self) -> str:
        return self._base.name

    @property
    def up(self) -> bool:
        return self._base.up

    # -- the door --------------------------------------------------------------------------------------------------

    @property
    def channel_id(self) -> str:
        return self._request.channel_id

    async def enter(self, args: tuple[str, ...]) -> ChannelEntered:
        """The event that a caller has come. Raises Gone, RequestTimedOut."""
        status = await self._line.ask("CHANNEL STATUS")
        self._state = "Up" if status.result == _UP else "Ring"
        self._line.quiet = self._state == "Up"
        return ChannelEntered(self.name, _now(), self._channel(), args)

    def admit(self, request_id: str, handed_over: Callable[[], Awaitable[bool]]) -> None:
        self._request_id = request_id
        self._handed_over = handed_over
        self._line.listen()

    async def tell(self, **variables: str) -> None:
        with suppress(TelephonyError, UnsafeValue):
            for name, value in variables.items():
                if self._lent:
                    await self._base.set_variable(self.channel_id, name, value)
                elif not self._line.busy:
                    await self._line.ask(f"SET VARIABLE {name} {safe.agi_argument(value)}")

    async def release(self) -> None:
        self._asked = True
        self._player.close()
        if self._lent:
            with suppress(TelephonyError):
                await self._base.give_back(self.channel_id)
        self._gone(cause=16)
        self._line.close()

    async def over(self) -> None:
        await self._ended.wait()

    # -- what is told ----------------------------------------------------------------------------------------------

    def _channel(self) -> Channel:
        request = self._request
        return Channel(
            id=request.channel_id,
            name=request.channel,
            state=self._state,
            caller=request.caller,
            exten=request.exten,
            context=request.fields.get("context", ""),
        )

    def _tell(self, event: TelephonyEvent) -> None:
        if not self._told_end:
            self._sink(event)

    def _pressed(self, key: str) -> None:
        self._tell(DtmfReceived(self.name, _now(), self._channel(), key, KEY_LASTS))

    def _hung_up(self) -> None:
        self._spawn(self._autopsy(), "autopsy")

    async def _autopsy(self) -> None:
        """Who ended it, which a dead channel still knows, as long as we keep the connection."""
        source, cause = "", ""
        with suppress(TelephonyError):
            told = await self._line.value("${CHANNEL(hangupsource)}|${HANGUPCAUSE}")
            source, _, cause = told.partition("|")
        number = int(cause) if cause.isdecimal() else None
        ours = self._asked or source != self._request.channel
        self._tell(ChannelHangupRequested(self.name, _now(), self._channel(), number, ours))
        self._gone(number)
        self._line.close()

    def _gone(self, cause: int | None) -> None:
        self._tell(ChannelGone(self.name, _now(), self._channel(), cause, None))
        self._told_end = True
        self._ended.set()

    def _connection_over(self) -> None:
        """Without a word: Asterisk is dead, or somebody pulled the cable. While the channel is lent, ARI knows."""
        self._player.close()
        if not self._lent:
            self._gone(None)
        self._ended.set()

    # -- the caller's channel, or another one's ----------------------------------------------------------------------

    def _by_agi(self, channel_id: str) -> bool:
        return channel_id == self.channel_id and not self._lent

    async def answer(self, channel_id: str) -> None:
        if not self._by_agi(channel_id):
            await self._base.answer(channel_id)
            return
        if (await self._line.ask("ANSWER")).result < 0:
            raise Gone("the channel could not be answered")
        self._line.quiet = True
        if self._state != "Up":
            self._state = "Up"
            self._tell(ChannelUp(self.name, _now(), self._channel()))

    async def ring(self, channel_id: str) -> None:
        if not self._by_agi(channel_id):
            await self._base.ring(channel_id)
        else:
            self._line.hums = self._state == "Up"
            await self._line.ask('EXEC PlayTones "ring"' if self._state == "Up" else 'EXEC Ringing ""')

    async def ring_stop(self, channel_id: str) -> None:
        if not self._by_agi(channel_id):
            await self._base.ring_stop(channel_id)
        elif self._state == "Up":
            self._line.hums = False
            await self._line.ask('EXEC StopPlayTones ""')

    async def hangup(self, channel_id: str, *, cause: int = 16) -> None:
        """AGI's Hangup() has the cause; a command that nothing ends is ended with its channel, by ARI."""
        if channel_id != self.channel_id:
            await self._base.hangup(channel_id, cause=cause)
            return
        self._asked = True
        if self._lent or self._line.busy:
            await self._base.hangup(channel_id, cause=cause)
        elif not self._line.over:
            self._line.quiet = self._line.hums = False
            self._line.send(f'EXEC Hangup "{int(cause)}"')

    async def play(self, target: str, playback_id: str, media: Sequence[str], *, bridge: bool = False) -> None:
        if bridge or not self._by_agi(target):
            await self._base.play(target, playback_id, media, bridge=bridge)
            return
        self._there()
        self._player.play(safe.identifier(playback_id), [safe.media_uri(uri) for uri in media])

    async def stop_play(self, playback_id: str) -> None:
        if self._player.owns(playback_id):
            self._player.stop(playback_id)
        else:
            await self._base.stop_play(playback_id)

    async def record(
        self,
        channel_id: str,
        name: str,
        *,
        max_seconds: int = 0,
        beep: bool = False,
        max_silence: int = 0,
        terminators: str = "",
    ) -> None:
        order = Recording(max_seconds, max_silence, beep, terminators)
        if self._by_agi(channel_id):
            self._there()
            self._player.record(safe.identifier(name), order)
        else:
            await self._base.record(channel_id, name, **asdict(order))

    async def record_bridge(self, bridge_id: str, name: str) -> None:
        await self._base.record_bridge(bridge_id, name)

    async def stop_record(self, name: str) -> None:
        if self._player.owns(name):
            self._player.stop(name)
        else:
            await self._base.stop_record(name)

    async def get_variable(self, channel_id: str, name: str) -> str:
        if not self._by_agi(channel_id):
            return await self._base.get_variable(channel_id, name)
        checked, _ = safe.variable(name, "")
        return await self._line.value(f"${{{checked}}}")

    async def set_variable(self, channel_id: str, name: str, value: str) -> None:
        if not self._by_agi(channel_id):
            await self._base.set_variable(channel_id, name, value)
            return
        name, value = safe.variable(name, value)
        self._values[name] = value
        await self._line.ask(f"SET VARIABLE {name} {safe.agi_argument(value)}")

    async def send_dtmf(self, channel_id: str, digits: str, *, between_ms: int = 100, duration_ms: int = 100) -> None:
        if not self._by_agi(channel_id):
            await self._base.send_dtmf(channel_id, digits, between_ms=between_ms, duration_ms=duration_ms)
            return
        self._line.send(f'EXEC SendDTMF "{safe.dtmf(digits)},{int(between_ms)},{int(duration_ms)}"')

    async def hold_music(self, channel_id: str, *, on: bool) -> None:
        if not self._by_agi(channel_id):
            await self._base.hold_music(channel_id, on=on)
        else:
            self._line.hums = on
            await self._line.ask("SET MUSIC on" if on else "SET MUSIC off")

    async def leave(self, channel_id: str, context: str, exten: str = "s") -> None:
        """The subroutines of ``dialplan/trunkline.conf``: AGI runs their applications without leaving."""
        if not self._by_agi(channel_id):
            await self._base.leave(channel_id, context, exten)
            return
        application = _APPLICATIONS.get(exten) if context == "trunkline" else None
        if application is None:
            raise Unsupported(f"the dialplan's {context},{exten}")
        self._there()
        self._spawn(self._run(exten, application), exten)

    async def _run(self, exten: str, application: _Application) -> None:
        first, second = (self._values.pop(name, "") for name in _ARGUMENTS)
        try:
            done = await self._line.send(f'EXEC {application.name} "{application.arguments.format(first, second)}"')
            results = [await self._line.value(f"${{{name}}}") for name in application.results]
        except (Gone, RequestTimedOut):
            return
        if done.result >= 0 and not self._line.hung_up:
            self._tell(ChannelEntered(self.name, _now(), self._channel(), ("return", exten, *results)))

    async def give_back(self, channel_id: str) -> None:
        await self._base.give_back(channel_id)

    # -- what takes more than one channel ----------------------------------------------------------------------------

    async def create_channel(
        self,
        channel_id: str,
        endpoint: str,
        *,
        caller_id: str,
        variables: Mapping[str, str] | None = None,
        originator: str | None = None,
    ) -> Channel:
        return await self._base.create_channel(
            channel_id, endpoint, caller_id=caller_id, variables=variables, originator=originator
        )

    async def dial(self, channel_id: str, *, timeout: float) -> None:
        await self._base.dial(channel_id, timeout=timeout)

    async def create_bridge(self, bridge_id: str, *, kind: str = "mixing,dtmf_events") -> None:
        await self._base.create_bridge(bridge_id, kind=kind)

    async def bridge_add(self, bridge_id: str, *channel_ids: str) -> None:
        if self.channel_id in channel_ids:
            others = {ids.request_of(each) for each in (bridge_id, *channel_ids) if each != self.channel_id}
            if others != {self._request_id}:
                raise Unsupported("a bridge with another session")
            await self._lend()
        await self._base.bridge_add(bridge_id, *channel_ids)

    async def _lend(self) -> None:
        """Hand the caller's channel to ARI, for good. Raises Gone, RequestTimedOut."""
        if self._lent:
            return
        await self._player.silence()
        self._there()
        self._line.send(f'EXEC Stasis "{self._app},return,agi"')
        if not await self._handed_over():
            raise RequestTimedOut("the caller's channel was not handed over")
        self._lent, self._state = True, "Up"

    async def bridge_remove(self, bridge_id: str, *channel_ids: str) -> None:
        await self._base.bridge_remove(bridge_id, *channel_ids)

    async def destroy_bridge(self, bridge_id: str) -> None:
        await self._base.destroy_bridge(bridge_id)

    async def snoop(self, channel_id: str, snoop_id: str, *, spy: str = "in", whisper: str = "none") -> None:
        if channel_id == self.channel_id:
            raise Unsupported("a recording or another ear of one side")
        await self._base.snoop(channel_id, snoop_id, spy=spy, whisper=whisper)

    async def mute(self, channel_id: str, direction: str, *, on: bool) -> None:
        if channel_id == self.channel_id:
            raise Unsupported("muting")
        await self._base.mute(channel_id, direction, on=on)

    async def transfer_progress(self, channel_id: str, state: str) -> None:
        await self._base.transfer_progress(channel_id, state)

    async def pause_record(self, name: str, *, on: bool) -> None:
        if self._player.owns(name):
            raise Unsupported("a pause in a recording")
        await self._base.pause_record(name, on=on)

    async def sound_channel(self, channel_id: str) -> str:
        return await self._base.sound_channel(channel_id)

    def hear(self, key: str) -> AsyncGenerator[bytes, None]:
        return self._base.hear(key)

    async def fetch_recording(self, name: str, to: Path) -> bool:
        fetched = await self._base.fetch_recording(name, to)
        if fetched and name in self._player.silent_at_the_end:
            await asyncio.to_thread(_without_the_end, to)
        return fetched

    async def delete_recording(self, name: str) -> None:
        await self._base.delete_recording(name)

    async def packets_from(self, channel_id: str) -> int:
        if channel_id == self.channel_id:
            raise Unsupported("a count of the caller's packets")
        return await self._base.packets_from(channel_id)

    async def channels(self) -> list[Channel]:
        return await self._base.channels()

    async def bridges(self) -> list[BridgeInfo]:
        return await self._base.bridges()

    def _there(self) -> None:
        if self._line.over or self._line.hung_up:
            raise Gone("the channel is no more")

    def _spawn(self, work: "asyncio._CoroutineLike[None]", name: str) -> None:
        task = asyncio.get_running_loop().create_task(work, name=f"agi {name} {self.channel_id}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _without_the_end(file: Path) -> None:
    """RECORD FILE keeps the first second of the silence that ended it."""
    with wave.open(str(file), "rb") as sound:
        parameters, data = sound.getparams(), sound.readframes(sound.getnframes())
    second = parameters.framerate * parameters.sampwidth * parameters.nchannels
    with wave.open(str(file), "wb") as sound:
        sound.setparams(parameters)
        sound.writeframes(data[:-second])


async def _at_once() -> bool:
    return True


def _now() -> datetime:
    return datetime.now(UTC)
