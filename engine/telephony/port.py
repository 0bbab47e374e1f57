"""What the engine asks of an Asterisk server. The ARI adapter and the fake both keep to it, and one suite tests both.

Every method may raise LinkDown, RequestTimedOut, Gone, Clash, Refused or UnsafeValue (engine.errors) and has a deadline
of its own. Ids are chosen by the caller (engine.ids) and registered for events before the method is called.
"""

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from engine.telephony.events import Channel, TelephonyEvent

Sink = Callable[[TelephonyEvent], None]
"""Takes each event, in order, at once and without waiting."""


@dataclass(frozen=True, slots=True)
class BridgeInfo:
    id: str
    channels: tuple[str, ...]


class Switch(Protocol):
    """One Asterisk server."""

    @property
    def name(self) -> str: ...

    @property
    def up(self) -> bool:
        """Commands can be sent and events flow."""

    async def create_channel(
        self,
        channel_id: str,
        endpoint: str,
        *,
        caller_id: str,
        variables: Mapping[str, str] | None = None,
        originator: str | None = None,
    ) -> Channel:
        """Make a channel to ``endpoint`` (``PJSIP/101``, ``PJSIP/15551234567@trunk``) in our application, not dialled
        yet. The party sees ``caller_id``. Its ChannelEntered must be seen before ``dial``. ``originator`` is the id of
        the channel it is made for (codec preference)."""

    async def dial(self, channel_id: str, *, timeout: float) -> None:
        """Send the call out. Asterisk itself gives up after ``timeout`` seconds without answer."""

    async def answer(self, channel_id: str) -> None: ...

    async def ring(self, channel_id: str) -> None:
        """Make the party hear ringback."""

    async def ring_stop(self, channel_id: str) -> None: ...

    async def hangup(self, channel_id: str, *, cause: int = 16) -> None:
        """End the channel with a Q.850 cause. A channel that is gone already is no error."""

    async def play(self, target: str, playback_id: str, media: Sequence[str], *, bridge: bool = False) -> None:
        """Play media URIs (``sound:…``, ``tone:…``, ``recording:…``, ``digits:…``) to a channel, or a bridge."""

    async def stop_play(self, playback_id: str) -> None:
        """One that is over already is no error."""

    async def create_bridge(self, bridge_id: str, *, kind: str = "mixing,dtmf_events") -> None:
        """Make a bridge; one of that id that exists already is taken as it is."""

    async def bridge_add(self, bridge_id: str, *channel_ids: str) -> None: ...

    async def bridge_remove(self, bridge_id: str, *channel_ids: str) -> None: ...

    async def destroy_bridge(self, bridge_id: str) -> None:
        """One that is gone already is no error."""

    async def snoop(self, channel_id: str, snoop_id: str, *, spy: str = "in", whisper: str = "none") -> None:
        """Listen to a channel: ``snoop_id`` becomes a channel of our application that has the party's sound."""

    async def sound_channel(self, channel_id: str) -> str:
        """Make a channel of our application that hands us what its bridge hears; returns the key for ``hear``. It enters
        once its sound is heard, and must be put into a bridge then. Refused where Asterisk is older than 22.6."""

    def hear(self, key: str) -> AsyncGenerator[bytes, None]:
        """The sound of a ``sound_channel``, µ-law at 8 kHz as it comes, until the channel ends. Closing the generator
        ends the channel. Raises LinkDown, RequestTimedOut or Gone when it is first asked."""

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
        """Record what the channel says, into a 16-bit 8 kHz WAV ``name`` in Asterisk's recording folder. It ends by itself
        after ``max_seconds``, and after ``max_silence`` seconds without a sound, which it leaves out; 0: never.
        ``terminators``: keys at which you will stop it; a door that hears no key meanwhile ends it at those, and tells."""

    async def record_bridge(self, bridge_id: str, name: str) -> None:
        """Record all who are in the bridge together, as ``record`` does, until ``stop_record`` or the bridge's end."""

    async def stop_record(self, name: str) -> None:
        """Stop and keep. One that is over already is no error."""

    async def pause_record(self, name: str, *, on: bool) -> None:
        """While it is on, silence is recorded in place of the sound."""

    async def fetch_recording(self, name: str, to: Path) -> bool:
        """Copy the stored recording to the file ``to``; False when there is none."""

    async def delete_recording(self, name: str) -> None: ...

    async def packets_from(self, channel_id: str) -> int:
        """RTP packets that came from the party until now; 0 where none can be counted."""

    async def get_variable(self, channel_id: str, name: str) -> str:
        """Value of a channel variable or function; empty where there is none."""

    async def set_variable(self, channel_id: str, name: str, value: str) -> None: ...

    async def send_dtmf(
        self, channel_id: str, digits: str, *, between_ms: int = 100, duration_ms: int = 100
    ) -> None: ...

    async def hold_music(self, channel_id: str, *, on: bool) -> None: ...

    async def mute(self, channel_id: str, direction: str, *, on: bool) -> None:
        """``direction``: in (the party is not heard), out (it hears nothing) or both."""

    async def transfer_progress(self, channel_id: str, state: str) -> None:
        """Tell the phone that sent REFER on the channel what became of it: channel_answered or channel_declined."""

    async def leave(self, channel_id: str, context: str, exten: str = "s") -> None:
        """Send the channel on in the dialplan."""

    async def give_back(self, channel_id: str) -> None:
        """Let the channel go on in the dialplan behind where it came from. Clash where it is not ours."""

    async def channels(self) -> list[Channel]: ...

    async def bridges(self) -> list[BridgeInfo]: ...


class Door(Switch, Protocol):
    """A switch of one call alone, whose caller came by a door of its own (FastAGI): it commands that caller's channel as
    far as the door can, and asks the server's own switch for all else. What it can't do is Unsupported."""

    @property
    def channel_id(self) -> str:
        """Asterisk's id of the caller's channel."""

    def admit(self, request_id: str, handed_over: Callable[[], Awaitable[bool]]) -> None:
        """The caller has become a call. ``handed_over`` waits until the server's own switch has the caller's channel."""

    async def tell(self, **variables: str) -> None:
        """Set channel variables for the dialplan; never raises."""

    async def release(self) -> None:
        """Let the caller's channel go on in the dialplan; its end, as far as the call goes, is told by events."""

    async def over(self) -> None:
        """Wait until the caller has gone, one way or the other."""
