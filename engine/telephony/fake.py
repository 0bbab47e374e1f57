"""A Switch without Asterisk, for tests: callees behave by script and the events come in the real one's order.

The order and the causes were measured on Asterisk 22 (``tests/contract/test_switch.py`` runs one suite on both). Time
is the running loop's, so a loop with virtual time makes it instant.
"""

import asyncio
import wave
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from engine.errors import Clash, Gone, LinkDown, Refused
from engine.telephony import safe
from engine.telephony.events import (
    BridgeEntered,
    BridgeLeft,
    Channel,
    ChannelDialing,
    ChannelEntered,
    ChannelGone,
    ChannelHangupRequested,
    ChannelLeft,
    ChannelProgress,
    ChannelRinging,
    ChannelUp,
    DtmfReceived,
    HoldChanged,
    LinkLost,
    LinkRestored,
    PlaybackEnded,
    PlaybackStarted,
    RecordingEnded,
    RecordingStarted,
    TelephonyEvent,
)
from engine.telephony.port import BridgeInfo, Sink

_NORMAL: Final = 16
_NO_ANSWER: Final = 19
_RATE: Final = 8000
_PIECE: Final = 160
"""Samples a second, and in one piece of live sound."""


@dataclass(frozen=True, slots=True)
class Callee:
    """What a called party does; seconds count from the dial, those of ``hangup_after`` and ``keys`` from its answer.
    None means never."""

    rings_after: float | None = 0.0
    progress_after: float | None = None
    answers_after: float | None = 0.3
    refuses: tuple[int, int] | None = None
    """Q.850 cause and SIP code, at once."""
    hangup_after: float | None = None
    keys: tuple[tuple[float, str], ...] = ()
    silent: bool = False
    """Sends no packet."""


ANSWERS: Final = Callee()
RINGS: Final = Callee(answers_after=None)
BUSY: Final = Callee(refuses=(17, 486))
DECLINES: Final = Callee(refuses=(21, 603))
UNALLOCATED: Final = Callee(refuses=(1, 404))
UNAVAILABLE: Final = Callee(refuses=(18, 480))
CONGESTED: Final = Callee(refuses=(34, 503))
SILENT: Final = Callee(rings_after=None, answers_after=None)
EARLY_MEDIA: Final = Callee(rings_after=None, progress_after=0.0, answers_after=1.0)
_BY_ENDING: Final = {
    "0486": BUSY,
    "0603": DECLINES,
    "0404": UNALLOCATED,
    "0480": UNAVAILABLE,
    "0503": CONGESTED,
    "0408": SILENT,
    "0000": RINGS,
    "6002": EARLY_MEDIA,
}


def by_number(endpoint: str) -> Callee:
    """The callee that the carrier simulator would play: by the last four digits (docs: the contract's table)."""
    ending = endpoint.partition("@")[0][-4:]
    match ending[:2], ending[2:]:
        case "20", seconds if seconds.isdecimal():
            return Callee(answers_after=float(seconds))
        case "30", seconds if seconds.isdecimal():
            return Callee(hangup_after=float(seconds))
    if ending[:1] == "4" and ending.isdecimal():
        return Callee(keys=tuple((1.0 + n * 0.2, key) for n, key in enumerate(ending[1:])))
    return _BY_ENDING.get(ending, ANSWERS)


@dataclass
class _Party:
    channel: Channel
    callee: Callee
    in_stasis: bool = False
    timers: list[asyncio.TimerHandle] = field(default_factory=list)
    """Of the call attempt; the answer cancels them."""
    limit: asyncio.TimerHandle | None = None
    spied: str | None = None
    """The channel that this one listens to, and ends with."""
    variables: dict[str, str] = field(default_factory=dict)


class FakeSwitch:
    """Implements ``engine.telephony.port.Switch``.

    ``callee`` picks the behaviour of an endpoint, None for one that does not exist. ``requests`` is what was asked,
    ``failures[method]`` is raised once by that method instead of its work.
    """

    def __init__(
        self, name: str, sink: Sink, *, callee: Callable[[str], Callee | None] = by_number, sound_seconds: float = 0.05
    ) -> None:
        self._name = name
        self._sink = sink
        self._callee = callee
        self._sound_seconds = sound_seconds
        self._up = False
        self._parties: dict[str, _Party] = {}
        self._bridges: dict[str, list[str]] = {}
        self._playbacks: dict[str, tuple[str, asyncio.TimerHandle | None]] = {}
        self._recordings: dict[str, tuple[str, float]] = {}
        self._stored: dict[str, float] = {}
        self._serial = 0
        self.requests: list[tuple[str, tuple[Any, ...]]] = []
        self.failures: dict[str, Exception] = {}
        self.sounds: dict[str, bytes] = {}
        """Channel → what its party says from the moment that it is heard, in µ-law."""

    @property
    def name(self) -> str:
        return self._name

    @property
    def up(self) -> bool:
        return self._up

    async def start(self) -> None:
        self.restore()

    async def stop(self) -> None:
        self._up = False
        for party in self._parties.values():
            _cancel(party, whole=True)
        for _, timer in self._playbacks.values():
            if timer is not None:
                timer.cancel()

    # What a test makes happen.

    def cut(self) -> None:
        """The link breaks: what happens from now on is not told. Calls go on."""
        self._tell(LinkLost(self._name, _now()))
        self._up = False

    def restore(self) -> None:
        self._up = True
        self._tell(LinkRestored(self._name, _now()))

    def incoming(self, channel_id: str, caller: str, exten: str, args: Sequence[str] = ()) -> None:
        """A call comes in and enters our application."""
        party = self._add(channel_id, ANSWERS, replace(self._made(channel_id, "Ring"), caller=caller, exten=exten))
        self._enter(party, tuple(args))

    def comes_back(self, channel_id: str, args: Sequence[str] = ()) -> None:
        """A channel that was sent on with ``leave`` enters again."""
        self._enter(self._parties[channel_id], tuple(args))

    def party_hangs_up(self, channel_id: str, cause: int = _NORMAL) -> None:
        self._end(channel_id, cause)

    def party_presses(self, channel_id: str, keys: str) -> None:
        for key in keys:
            self._tell(DtmfReceived(self._name, _now(), self._parties[channel_id].channel, key, 100))

    def party_holds(self, channel_id: str, *, held: bool) -> None:
        self._tell(HoldChanged(self._name, _now(), self._parties[channel_id].channel, held))

    def variable(self, channel_id: str, name: str) -> str | None:
        return self._parties[channel_id].variables.get(name)

    # The port.

    async def create_channel(
        self,
        channel_id: str,
        endpoint: str,
        *,
        caller_id: str,
        variables: Mapping[str, str] | None = None,
        originator: str | None = None,
    ) -> Channel:
        values = safe.variables(variables or {})
        if caller_id:
            values["CONNECTEDLINE(all,i)"] = safe.party(caller_id)
        await self._asked("create_channel", safe.identifier(channel_id), safe.endpoint(endpoint), caller_id, originator)
        if any(living.startswith(channel_id) for living in self._parties):  # Asterisk compares the beginning too
            raise Clash("409 a channel of that id lives")
        callee = self._callee(endpoint)
        if callee is None:
            raise Refused("500 no such endpoint", status=500)
        party = self._add(channel_id, callee, self._made(channel_id, "Down"))
        party.variables.update(values)
        if limit := values.get("TIMEOUT(absolute)"):
            party.limit = _loop().call_later(float(limit), lambda: self._end(channel_id, _NORMAL, asked=False))
        self._later(party, 0, lambda: self._enter(party, ()))
        return party.channel

    async def dial(self, channel_id: str, *, timeout: float) -> None:
        await self._asked("dial", channel_id, timeout)
        party = self._party(channel_id)
        self._later(party, 0, lambda: self._tell(ChannelDialing(self._name, _now(), party.channel)))
        callee = party.callee
        if callee.refuses:
            cause, code = callee.refuses
            self._later(party, 0, lambda: self._end(channel_id, cause, code))
            return
        if callee.rings_after is not None:
            self._later(party, callee.rings_after, lambda: self._ringing(party))
        if callee.progress_after is not None:
            self._later(party, callee.progress_after, lambda: self._progress(party))
        if callee.answers_after is not None and callee.answers_after < timeout:
            self._later(party, callee.answers_after, lambda: self._answered(party))
        else:
            self._later(party, timeout, lambda: self._end(channel_id, _NO_ANSWER, 480, ours=True))

    async def answer(self, channel_id: str) -> None:
        await self._asked("answer", channel_id)
        self._answered(self._party(channel_id))

    async def ring(self, channel_id: str) -> None:
        await self._asked("ring", channel_id)
        self._party(channel_id)

    async def ring_stop(self, channel_id: str) -> None:
        await self._asked("ring_stop", channel_id)
        self._party(channel_id)

    async def hangup(self, channel_id: str, *, cause: int = _NORMAL) -> None:
        await self._asked("hangup", channel_id, cause)
        self._end(channel_id, cause, ours=True)

    async def play(self, target: str, playback_id: str, media: Sequence[str], *, bridge: bool = False) -> None:
        checked = tuple(safe.media_uri(uri) for uri in media)
        await self._asked("play", target, safe.identifier(playback_id), checked, bridge)
        if bridge:
            self._members(target)
        else:
            self._party(target)
        endless = any(uri.startswith("tone:") for uri in checked)
        seconds = self._sound_seconds * len(checked)
        over = None if endless else _loop().call_later(seconds, lambda: self._played(playback_id, failed=False))
        self._playbacks[playback_id] = (target, over)
        self._soon(PlaybackStarted(self._name, _now(), playback_id))

    async def stop_play(self, playback_id: str) -> None:
        await self._asked("stop_play", playback_id)
        self._played(playback_id, failed=False)

    async def create_bridge(self, bridge_id: str, *, kind: str = "mixing,dtmf_events") -> None:
        await self._asked("create_bridge", safe.identifier(bridge_id), kind)
        self._bridges.setdefault(bridge_id, [])

    async def bridge_add(self, bridge_id: str, *channel_ids: str) -> None:
        await self._asked("bridge_add", bridge_id, *channel_ids)
        members = self._members(bridge_id)
        parties = [self._party(each) for each in channel_ids]
        for party in parties:
            self._unbridge(party.channel.id)
            members.append(party.channel.id)
            self._soon(BridgeEntered(self._name, _now(), bridge_id, party.channel))

    async def bridge_remove(self, bridge_id: str, *channel_ids: str) -> None:
        await self._asked("bridge_remove", bridge_id, *channel_ids)
        members = self._members(bridge_id)
        for channel_id in channel_ids:
            self._party(channel_id)
            if channel_id not in members:
                raise Clash("422 the channel is not in this bridge")
            self._unbridge(channel_id)

    async def destroy_bridge(self, bridge_id: str) -> None:
        await self._asked("destroy_bridge", bridge_id)
        for channel_id in list(self._bridges.get(bridge_id, ())):
            self._unbridge(channel_id)
        self._bridges.pop(bridge_id, None)

    async def snoop(self, channel_id: str, snoop_id: str, *, spy: str = "in", whisper: str = "none") -> None:
        await self._asked("snoop", channel_id, safe.identifier(snoop_id), spy, whisper)
        self._party(channel_id)
        if snoop_id in self._parties:
            raise Clash("409 a channel of that id lives")
        party = self._add(snoop_id, ANSWERS, self._made(snoop_id, "Up", "Snoop"))
        party.spied = channel_id
        self._later(party, 0, lambda: self._enter(party, ()))

    async def sound_channel(self, channel_id: str) -> str:
        await self._asked("sound_channel", safe.identifier(channel_id))
        if channel_id in self._parties:
            raise Clash("409 a channel of that id lives")
        self._add(channel_id, ANSWERS, self._made(channel_id, "Down", "WebSocket"))
        return channel_id

    async def hear(self, key: str) -> AsyncGenerator[bytes, None]:
        """What the party says that is in the same bridge: ``sounds`` of its channel, then silence."""
        if key not in self._parties:
            raise Gone("404 no such channel")
        self._enter(self._parties[key], ())
        sent, began = 0, _loop().time()
        try:
            while key in self._parties:
                await asyncio.sleep(max(began + (sent + _PIECE) / _RATE - _loop().time(), 0))
                others = [self._parties[each].spied for members in self._bridges.values() if key in members
                          for each in members if each != key]  # fmt: skip
                if others:
                    yield self.sounds.get(others[0] or "", b"")[sent : sent + _PIECE].ljust(_PIECE, b"\xff")
                sent += _PIECE
        finally:
            self._end(key, _NORMAL)

    async def record(
        self,
        channel_id: str,
        name: str,
        *,
        max_seconds: int = 0,
        beep: bool = False,
        max_silence: int = 0,
        terminators: str = "",  # noqa: ARG002 - each key is told
    ) -> None:
        await self._asked("record", channel_id, safe.identifier(name), max_seconds, beep)
        party = self._party(channel_id)
        if name in self._recordings or name in self._stored:
            raise Clash("409 a recording of that name exists")
        self._recordings[name] = (channel_id, _loop().time())
        self._soon(RecordingStarted(self._name, _now(), name))
        if max_seconds:
            self._later(party, max_seconds, lambda: self._recorded(name))
        if max_silence and self._parties.get(party.spied or "", party).callee.silent:
            self._later(party, max_silence, lambda: self._recorded(name, without=max_silence))

    async def record_bridge(self, bridge_id: str, name: str) -> None:
        await self._asked("record_bridge", bridge_id, safe.identifier(name))
        if name in self._recordings or name in self._stored:
            raise Clash("409 a recording of that name exists")
        self._recordings[name] = (bridge_id, _loop().time())
        self._soon(RecordingStarted(self._name, _now(), name))

    async def stop_record(self, name: str) -> None:
        await self._asked("stop_record", name)
        self._recorded(name)

    async def pause_record(self, name: str, *, on: bool) -> None:
        await self._asked("pause_record", name, on)
        if name not in self._recordings:
            raise Gone("404 no such recording")

    async def fetch_recording(self, name: str, to: Path) -> bool:
        await self._asked("fetch_recording", name)
        if name not in self._stored:
            return False
        with wave.open(str(to), "wb") as file:
            file.setparams((1, 2, 8000, 0, "NONE", "not compressed"))
            file.writeframes(bytes(2 * int(8000 * self._stored[name])))
        return True

    async def delete_recording(self, name: str) -> None:
        await self._asked("delete_recording", name)
        self._stored.pop(name, None)

    async def packets_from(self, channel_id: str) -> int:
        await self._asked("packets_from", channel_id)
        talks = self._party(channel_id).channel.state == "Up" and not self._party(channel_id).callee.silent
        return int(_loop().time() / 0.02) if talks else 0

    async def get_variable(self, channel_id: str, name: str) -> str:
        name, _ = safe.variable(name, "")
        await self._asked("get_variable", safe.identifier(channel_id), name)
        party = self._parties.get(channel_id)
        return party.variables.get(name, "") if party else ""

    async def set_variable(self, channel_id: str, name: str, value: str) -> None:
        name, value = safe.variable(name, value)
        await self._asked("set_variable", channel_id, name, value)
        self._party(channel_id).variables[name] = value

    async def send_dtmf(self, channel_id: str, digits: str, *, between_ms: int = 100, duration_ms: int = 100) -> None:
        await self._asked("send_dtmf", channel_id, safe.dtmf(digits), between_ms, duration_ms)
        self._party(channel_id)

    async def hold_music(self, channel_id: str, *, on: bool) -> None:
        await self._asked("hold_music", channel_id, on)
        self._party(channel_id)

    async def mute(self, channel_id: str, direction: str, *, on: bool) -> None:
        await self._asked("mute", channel_id, direction, on)
        self._party(channel_id)

    async def transfer_progress(self, channel_id: str, state: str) -> None:
        await self._asked("transfer_progress", channel_id, state)
        self._party(channel_id)

    async def leave(self, channel_id: str, context: str, exten: str = "s") -> None:
        await self._asked("leave", channel_id, safe.identifier(context), safe.identifier(exten))
        party = self._party(channel_id)
        self._unbridge(channel_id)
        party.in_stasis = False
        self._soon(ChannelLeft(self._name, _now(), party.channel))

    async def give_back(self, channel_id: str) -> None:
        await self._asked("give_back", channel_id)
        party = self._party(channel_id)
        if not party.in_stasis:
            raise Clash("409 the channel is not ours")
        self._unbridge(channel_id)
        party.in_stasis = False
        self._soon(ChannelLeft(self._name, _now(), party.channel))

    async def channels(self) -> list[Channel]:
        await self._asked("channels")
        return [party.channel for party in self._parties.values()]

    async def bridges(self) -> list[BridgeInfo]:
        await self._asked("bridges")
        return [BridgeInfo(bridge_id, tuple(members)) for bridge_id, members in self._bridges.items()]

    # How it works.

    async def _asked(self, method: str, *arguments: Any) -> None:
        """One request: a turn of the loop, and the failures that any can have."""
        await asyncio.sleep(0)
        if not self._up:
            raise LinkDown(f"no link to {self._name}")
        self.requests.append((method, arguments))
        if failure := self.failures.pop(method, None):
            raise failure

    def _tell(self, event: TelephonyEvent) -> None:
        if self._up:
            self._sink(event)

    def _soon(self, event: TelephonyEvent) -> None:
        _loop().call_soon(self._tell, event)

    def _later(self, party: _Party, seconds: float, do: Callable[[], None]) -> None:
        party.timers.append(_loop().call_later(seconds, do))

    def _made(self, channel_id: str, state: str, technology: str = "PJSIP") -> Channel:
        self._serial += 1
        name = f"{technology}/fake-{self._serial:08x}"
        return Channel(channel_id, name, state, created_at=_now(), call_id=f"{self._serial}@fake")

    def _add(self, channel_id: str, callee: Callee, channel: Channel) -> _Party:
        party = self._parties[channel_id] = _Party(channel, callee)
        return party

    def _party(self, channel_id: str) -> _Party:
        """A channel of our application. Raises Gone, or Clash while it has not entered."""
        party = self._parties.get(safe.identifier(channel_id))
        if party is None:
            raise Gone("404 no such channel")
        if not party.in_stasis:
            raise Clash("409 the channel is not in our application")
        return party

    def _members(self, bridge_id: str) -> list[str]:
        members = self._bridges.get(safe.identifier(bridge_id))
        if members is None:
            raise Gone("404 no such bridge")
        return members

    def _enter(self, party: _Party, args: tuple[str, ...]) -> None:
        party.in_stasis = True
        self._tell(ChannelEntered(self._name, _now(), party.channel, args))

    def _ringing(self, party: _Party) -> None:
        party.channel = replace(party.channel, state="Ringing")
        self._tell(ChannelRinging(self._name, _now(), party.channel))

    def _progress(self, party: _Party) -> None:
        self._tell(ChannelProgress(self._name, _now(), party.channel))

    def _answered(self, party: _Party) -> None:
        if party.channel.state == "Up":
            return
        _cancel(party)
        party.channel = replace(party.channel, state="Up")
        self._tell(ChannelUp(self._name, _now(), party.channel))
        channel_id = party.channel.id
        for seconds, key in party.callee.keys:
            self._later(party, seconds, lambda key=key: self.party_presses(channel_id, key))  # type: ignore[misc]
        if party.callee.hangup_after is not None:
            self._later(party, party.callee.hangup_after, lambda: self._end(channel_id, _NORMAL))

    def _unbridge(self, channel_id: str) -> None:
        for bridge_id, members in self._bridges.items():
            if channel_id in members:
                members.remove(channel_id)
                self._tell(BridgeLeft(self._name, _now(), bridge_id, self._parties[channel_id].channel))

    def _played(self, playback_id: str, *, failed: bool) -> None:
        playback = self._playbacks.pop(playback_id, None)
        if playback is None:
            return
        if playback[1] is not None:
            playback[1].cancel()
        self._tell(PlaybackEnded(self._name, _now(), playback_id, failed))

    def _recorded(self, name: str, *, without: float = 0.0) -> None:
        if name in self._recordings:
            _, began = self._recordings.pop(name)
            self._stored[name] = max(_loop().time() - began - without, 0.0)
            self._tell(RecordingEnded(self._name, _now(), name, failed=False, duration=self._stored[name]))

    def _end(
        self, channel_id: str, cause: int, code: int | None = None, *, ours: bool = False, asked: bool = True
    ) -> None:
        """``asked``: a hang-up request is told, as it is but for the absolute timeout and the end of a snoop."""
        party = self._parties.get(channel_id)
        if party is None:
            return
        _cancel(party, whole=True)
        channel = party.channel
        if asked:
            self._tell(ChannelHangupRequested(self._name, _now(), channel, None if ours else cause, ours))
        for playback_id in [key for key, (target, _) in self._playbacks.items() if target == channel_id]:
            self._played(playback_id, failed=True)
        for name in [key for key, (target, _) in self._recordings.items() if target == channel_id]:
            self._recorded(name)
        self._unbridge(channel_id)
        del self._parties[channel_id]
        if party.in_stasis:
            self._tell(ChannelLeft(self._name, _now(), channel))
        for snoop in [key for key, other in self._parties.items() if other.spied == channel_id]:
            self._end(snoop, cause, asked=False)
        if party.spied is None:  # Asterisk does not tell when a snoop is destroyed
            self._tell(ChannelGone(self._name, _now(), channel, cause, code))


def _cancel(party: _Party, *, whole: bool = False) -> None:
    for timer in party.timers:
        timer.cancel()
    party.timers.clear()
    if whole and party.limit is not None:
        party.limit.cancel()


def _loop() -> asyncio.AbstractEventLoop:
    return asyncio.get_running_loop()


def _now() -> datetime:
    return datetime.now(UTC)
