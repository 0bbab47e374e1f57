"""Identifiers that we choose, and what they tell.

A channel's id is known, and committed, before Asterisk hears of the channel, and names its call: an event finds its
call, and a forgotten channel its owner, without a look-up.

    57362de4f0                  request_id: ten lower-case hex digits
    tl-57362de4f0-2             channel of the call's second leg
    tl-57362de4f0-2.snoop       the channel that listens to it; …-2.rec its recording; …-2.snoopa, …-2.reca of the second one
    tl-57362de4f0-2.mxyz…       a message that the party left
    tl-57362de4f0-2.ear         the channel that hears it live; …-2.sound hands it to us, …-2.hall is their bridge
    tl-57362de4f0-2.spyba       a channel by which a monitor hears it
    tl-57362de4f0-b1            a bridge of the call; …-h1 the one where it is parked
    tl-57362de4f0-p5c31…        a playback
    room-8000                   the bridge of a conference room, which belongs to no call
    room-8000-5c31a0b2          a recording of the room
"""

import re
import secrets
import uuid
from hashlib import blake2b

_OURS = re.compile(r"tl-([0-9a-f]{10})-([a-z]?[0-9a-f]+)(?:\.([a-z]+))?")
_REQUEST_ID = re.compile(r"[0-9a-f]{10}")
_LEGS = uuid.UUID("5f3a0b0e-6a55-4c39-9e0e-1f5d3c1a7b42")
_HALF = (1 << 20) - 1
_ROOM = "room-"


def scramble(number: int, key: bytes) -> str:
    """Request id number ``number`` (below 2**40): unique because a Feistel network is a bijection, and not guessable
    from its neighbours without ``key``."""
    left, right = number >> 20, number & _HALF
    for turn in range(4):
        left, right = right, left ^ _mix(right, key, turn)
    return f"{(left << 20) | right:010x}"


def _mix(half: int, key: bytes, turn: int) -> int:
    digest = blake2b(half.to_bytes(4, "big") + bytes([turn]), key=key, digest_size=4).digest()
    return int.from_bytes(digest, "big") & _HALF


def is_request_id(text: str) -> bool:
    return _REQUEST_ID.fullmatch(text) is not None


def channel_id(request_id: str, n: int) -> str:
    return f"tl-{request_id}-{n}"


def leg_id(request_id: str, n: int) -> str:
    """UUID of the leg; the same after a restart."""
    return str(uuid.uuid5(_LEGS, f"{request_id}/{n}"))


def call_uuid(request_id: str) -> str:
    """The call's id where one must be a UUID: it begins with the request id, so that no table need lead back."""
    digest = blake2b(request_id.encode(), key=_LEGS.bytes, digest_size=11).hexdigest()
    return str(uuid.UUID(hex=request_id + digest, version=5))


def request_of_uuid(text: str) -> str | None:
    """The request id in a ``call_uuid``; None when it is not one."""
    request_id = text.replace("-", "")[:10].lower()
    return request_id if is_request_id(request_id) and call_uuid(request_id) == text.lower() else None


def bridge_id(request_id: str, n: int = 1) -> str:
    return f"tl-{request_id}-b{n}"


def playback_id(request_id: str) -> str:
    return f"tl-{request_id}-p{secrets.token_hex(4)}"


def room_bridge(room: str) -> str:
    """The bridge in which the members of a room meet; found again after a restart."""
    return f"{_ROOM}{room}"


def is_room_bridge(identifier: str) -> bool:
    return identifier.startswith(_ROOM)


def room_recording(room: str) -> str:
    """Name of a new recording of a room, in Asterisk's recording folder; with ``.wav`` it is the recording's own."""
    return f"{_ROOM}{room}-{secrets.token_hex(4)}"


def room_of_recording(name: str) -> str:
    return name.removeprefix(_ROOM).partition("-")[0]


def snoop_id(channel: str, turn: int = 0) -> str:
    """``turn``: of the call's recordings, from 0 to 26."""
    return f"{channel}.snoop{_turn(turn)}"


def _turn(turn: int) -> str:
    return chr(ord("a") + turn - 1) if turn else ""


def ear_ids(channel: str) -> tuple[str, str, str]:
    """Of what hears one party live: the channel that listens to it, the one that hands us its sound, their bridge."""
    return f"{channel}.ear", f"{channel}.sound", f"{channel}.hall"


def spy_id(channel: str, monitor: int, turn: int) -> str:
    """The channel by which a monitor hears a party; a new one each time that it does so in another way."""
    return f"{channel}.spy{_letters(monitor)}{_letters(turn)}"


def _letters(number: int) -> str:
    """0 → a, 25 → z, 26 → ba: as many as there may be."""
    return (_letters(number // 26) if number >= 26 else "") + chr(ord("a") + number % 26)  # noqa: PLR2004


def holding_id(request_id: str) -> str:
    """The bridge where the call waits when it is parked."""
    return f"tl-{request_id}-h1"


def recording_id(channel: str, turn: int = 0) -> str:
    """Name of the recording of one party's channel, in Asterisk's recording folder."""
    return f"{channel}.rec{_turn(turn)}"


def message_id(channel: str) -> str:
    """Name of what one party says on its own, in Asterisk's recording folder; a new one each time."""
    return f"{channel}.m{''.join(secrets.choice('abcdefghijkmnpqrstuvwxyz') for _ in range(8))}"


def transcript_recording(request_id: str) -> str:
    """Name of a recording that nobody asked to keep: it goes when it has been transcribed. The database's
    ``want_transcript`` knows this form too."""
    return f"{request_id}.transcript.wav"


def is_transcript_recording(name: str) -> bool:
    return name.endswith(".transcript.wav")


def request_of(identifier: str) -> str | None:
    """The request id in an id of ours; None when it is not one of ours."""
    match = _OURS.fullmatch(identifier)
    return match.group(1) if match else None


def token(prefix: str) -> str:
    """A public id such as ``LS`` + 10 hex."""
    return prefix + secrets.token_hex(5)
