"""The far end of both sides: a SIP user agent server that answers at once and notes when each INVITE came.

Hand-written because it must cost the machine less than what it helps to measure: templates over bytes, one socket, no
parser. The time of an INVITE is the kernel's own (``SO_TIMESTAMPNS``, CLOCK_REALTIME), so that a busy far end does not
count as a late engine. Numbers that begin with ``CUSTOMER`` hang up ``talk`` seconds after they have answered.
"""

import asyncio
import contextlib
import re
import socket
import struct
import time
from collections.abc import Callable
from dataclasses import dataclass, field

AGENT, CUSTOMER = b"9198", b"9197"
"""How the numbers of each role begin; eight digits of the call follow."""
_SO_TIMESTAMPNS = 35
"""``asm-generic/socket.h``; Python's socket module does not name it."""
_TIMESPEC = struct.Struct("@qq")
_RESEND = 0.5
"""Seconds (RFC 3261's T1)."""
_HEADERS = re.compile(
    rb"^(Via|v|From|f|To|t|Call-ID|i|CSeq|Contact|m)[ \t]*:[ \t]*(.*?)\r$", re.IGNORECASE | re.MULTILINE
)
_SHORT = {b"v": b"via", b"f": b"from", b"t": b"to", b"i": b"call-id", b"m": b"contact"}
_MEDIA = re.compile(rb"^m=audio (\d+)", re.MULTILINE)
_PACKETS = 40
_USER = re.compile(rb"sips?:([^@;>]*)@")


@dataclass(slots=True)
class Request:
    call_id: bytes
    headers: dict[bytes, bytes]
    vias: list[bytes]
    at: int
    """Nanoseconds since the epoch."""


@dataclass(slots=True)
class Dialog:
    number: bytes
    peer: tuple[str, int]
    ok: bytes
    bye: bytes
    at: float
    """Loop time of the last message that wants an answer."""
    acked: bool = False
    hanging_up: bool = False


@dataclass
class FarEnd:
    """``on_end`` is told the number of each dialog that has ended."""

    on_end: Callable[[bytes], None] = lambda _number: None
    talk: float = 0.2
    speaks: bool = False
    """Sends ``_PACKETS`` packets of silence after its answer, as a phone that is there does."""
    invites: dict[bytes, int] = field(default_factory=dict)
    """Dialled number → nanoseconds since the epoch."""
    dialogs: dict[bytes, Dialog] = field(default_factory=dict)
    resent: int = 0
    cancelled: int = 0
    port: int = 0

    def start(self, port: int = 0) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        self._socket.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
        self._socket.bind(("127.0.0.1", port))
        self._socket.setblocking(False)
        self.port = self._socket.getsockname()[1]
        self._voice = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._voice.bind(("127.0.0.1", 0))
        self._voice.setblocking(False)
        self._contact = b"<sip:bench@127.0.0.1:%d>" % self.port
        self._sdp = (
            b"v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio %d RTP/AVP 0 101\r\n"
            % self._voice.getsockname()[1]
        )
        self._sdp += b"a=rtpmap:0 PCMU/8000\r\na=rtpmap:101 telephone-event/8000\r\na=sendrecv\r\n"
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._socket.fileno(), self._readable)
        self._sweeper = asyncio.create_task(self._sweep(), name="sip-resend")

    async def stop(self) -> None:
        self._sweeper.cancel()
        await asyncio.gather(self._sweeper, return_exceptions=True)
        self._loop.remove_reader(self._socket.fileno())
        self._socket.close()
        self._voice.close()

    def _readable(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while True:
                data, ancillary, _, peer = self._socket.recvmsg(8192, 64)
                self._take(data, peer, _stamp(ancillary))

    def _take(self, data: bytes, peer: tuple[str, int], at: int) -> None:
        method = data[: data.find(b" ")]
        request = _parse(data, at)
        call_id = request.call_id
        if method == b"INVITE":
            self._invite(data, peer, request)
        elif method == b"ACK":
            if dialog := self.dialogs.get(call_id):
                dialog.acked = True
        elif method == b"SIP/2.0":
            if request.headers[b"cseq"].endswith(b"BYE") and data[8:9] != b"1":
                self._ended(call_id)
        else:
            self._send(_answer(b"200 OK", request, b"1"), peer)
            if method in (b"BYE", b"CANCEL"):
                self.cancelled += method == b"CANCEL"
                self._ended(call_id)

    def _invite(self, data: bytes, peer: tuple[str, int], request: Request) -> None:
        if known := self.dialogs.get(request.call_id):
            self._send(known.ok, peer)
            return
        user = _USER.search(data, 0, data.find(b"\r\n"))
        number = user[1] if user else b""
        self.invites.setdefault(number, request.at)
        tag = b"f" + number
        self._send(_answer(b"180 Ringing", request, tag, self._contact), peer)
        ok = _answer(b"200 OK", request, tag, self._contact, self._sdp)
        self._send(ok, peer)
        bye = self._bye(request, tag)
        self.dialogs[request.call_id] = Dialog(number, peer, ok, bye, self._loop.time())
        if self.speaks and (media := _MEDIA.search(data)):
            self._speak(("127.0.0.1", int(media[1])), 0)
        if number.startswith(CUSTOMER):
            self._loop.call_later(self.talk, self._hang_up, request.call_id)

    def _speak(self, to: tuple[str, int], count: int) -> None:
        """A packet of silence each 20 ms; the socket is nobody's own, so what comes in is left to overflow."""
        with contextlib.suppress(BlockingIOError, ConnectionError):
            self._voice.sendto(struct.pack("!BBHII", 0x80, 0, count, count * 160, to[1]) + b"\xff" * 160, to)
        if count < _PACKETS:
            self._loop.call_later(0.02, self._speak, to, count + 1)

    def _bye(self, request: Request, tag: bytes) -> bytes:
        found = request.headers
        target = found[b"contact"]
        start = target.find(b"<")
        target = target[start + 1 : target.find(b">")] if start >= 0 else target
        return (
            b"BYE %s SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:%d;branch=z9hG4bK%s\r\nFrom: %s;tag=%s\r\nTo: %s\r\n"
            b"Call-ID: %s\r\nCSeq: 1 BYE\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n"
            % (target, self.port, tag, found[b"to"], tag, found[b"from"], request.call_id)
        )

    def _hang_up(self, call_id: bytes) -> None:
        if dialog := self.dialogs.get(call_id):
            dialog.hanging_up, dialog.at = True, self._loop.time()
            self._send(dialog.bye, dialog.peer)

    def _ended(self, call_id: bytes) -> None:
        if dialog := self.dialogs.pop(call_id, None):
            self.on_end(dialog.number)

    def _send(self, data: bytes, peer: tuple[str, int]) -> None:
        with contextlib.suppress(BlockingIOError):
            self._socket.sendto(data, peer)

    async def _sweep(self) -> None:
        """Send again what got no answer; without it, one packet lost under load would hang a run."""
        while True:
            await asyncio.sleep(_RESEND / 2)
            now = self._loop.time()
            for dialog in self.dialogs.values():
                if now - dialog.at > _RESEND and (dialog.hanging_up or not dialog.acked):
                    self.resent += 1
                    dialog.at = now
                    self._send(dialog.bye if dialog.hanging_up else dialog.ok, dialog.peer)


def _parse(data: bytes, at: int) -> Request:
    headers: dict[bytes, bytes] = {}
    vias = []
    for name, value in _HEADERS.findall(data[: data.find(b"\r\n\r\n") + 2]):
        key = name.lower()
        key = _SHORT.get(key, key)
        if key == b"via":
            vias.append(value)
        headers[key] = value
    return Request(headers.get(b"call-id", b""), headers, vias, at)


def _answer(status: bytes, request: Request, tag: bytes, contact: bytes = b"", body: bytes = b"") -> bytes:
    found = request.headers
    to = found[b"to"]
    parts = [b"SIP/2.0 ", status, b"\r\n"]
    parts += [b"Via: %s\r\n" % via for via in request.vias]
    parts += [b"From: ", found[b"from"], b"\r\nTo: ", to, b"" if b";tag=" in to else b";tag=" + tag]
    parts += [b"\r\nCall-ID: ", found[b"call-id"], b"\r\nCSeq: ", found[b"cseq"], b"\r\n"]
    if contact:
        parts += [b"Contact: ", contact, b"\r\n"]
    if body:
        parts += [b"Content-Type: application/sdp\r\n"]
    parts += [b"Content-Length: %d\r\n\r\n" % len(body), body]
    return b"".join(parts)


def _stamp(ancillary: list[tuple[int, int, bytes]]) -> int:
    for level, kind, data in ancillary:
        if level == socket.SOL_SOCKET and kind == _SO_TIMESTAMPNS:
            seconds, nanoseconds = _TIMESPEC.unpack_from(data)
            return int(seconds * 1_000_000_000 + nanoseconds)
    return time.time_ns()
