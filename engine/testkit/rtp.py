"""The sound of a test phone: it sends a tone of its own in µ-law, and keeps what it hears."""

import asyncio
import random
import struct
import time

import numpy as np

from engine.testkit.audio import RATE, Samples

PACKET = 160
"""Samples; 20 ms."""
_GAP = 3 * PACKET / RATE
"""Seconds without a packet that count as silence."""
_KEYS = "0123456789*#ABCD"
_BIAS, _CLIP = 33, 8158


def encode(samples: Samples) -> bytes:
    """Samples (full scale ±1) as µ-law of G.711."""
    linear = np.round(np.abs(samples) * 8192).astype(np.int64)
    magnitude = np.minimum(linear, _CLIP) + _BIAS
    segment = np.floor(np.log2(magnitude)).astype(np.int64) - 5
    step = (magnitude >> (segment + 1)) & 0x0F
    code = ~((np.where(samples < 0, 0x80, 0)) | (segment << 4) | step) & 0xFF
    return bytes(code.astype(np.uint8))


def decode(payload: bytes) -> Samples:
    """µ-law of G.711 as samples (full scale ±1)."""
    code = ~np.frombuffer(payload, np.uint8) & 0xFF
    segment, step = (code >> 4) & 0x07, code & 0x0F
    magnitude = (((2 * step.astype(np.int64) + 33) << segment) - _BIAS) / 8192
    return np.asarray(np.where(code & 0x80, -magnitude, magnitude), dtype=np.float64)


class Sound(asyncio.DatagramProtocol):
    """One RTP port. ``talk`` starts the sender once the other side's address is known; ``close`` ends it."""

    def __init__(self, tone: float) -> None:
        self.tone = tone
        """Hertz; 0 sends silence."""
        self.said: Samples = np.zeros(0)
        """What is still to be said, in place of the tone; ``say`` adds to it."""
        self.pressed = ""
        """Keys that the other side pressed."""
        self._heard: list[tuple[float, bytes]] = []
        self._keys: set[tuple[int, int]] = set()
        self._transport: asyncio.DatagramTransport | None = None
        self._sender: asyncio.Task[None] | None = None
        self._to: tuple[str, int] | None = None
        self._sequence = random.getrandbits(15)
        self._stamp = random.getrandbits(30)
        self._source = random.getrandbits(32)
        self._press: list[tuple[int, int, bool]] = []

    async def open(self, host: str) -> int:
        """Bind a free port of ``host`` and return it."""
        loop = asyncio.get_running_loop()
        self._transport, _ = await loop.create_datagram_endpoint(lambda: self, local_addr=(host, 0))
        return int(self._transport.get_extra_info("sockname")[1])

    def talk(self, to: tuple[str, int]) -> None:
        self._to = to
        if self._sender is None:
            self._sender = asyncio.get_running_loop().create_task(self._send(), name="phone sound")

    async def close(self) -> None:
        if self._sender is not None:
            self._sender.cancel()
            await asyncio.gather(self._sender, return_exceptions=True)
        if self._transport is not None:
            self._transport.close()
            await asyncio.sleep(0)

    def say(self, samples: Samples) -> None:
        """Send these samples from the next packet on, then the tone again."""
        self.said = np.concatenate([self.said, samples, np.zeros(-len(samples) % PACKET)])

    def press(self, keys: str) -> None:
        """Press keys: 100 ms each, 60 ms apart, in RFC 4733 events."""
        for key in keys.upper():
            code = _KEYS.index(key)
            self._press += [(code, (turn + 1) * PACKET, turn >= 5) for turn in range(8)]
            self._press += [(-1, 0, False)] * 3

    @property
    def heard(self) -> Samples:
        """All it heard since the first packet, with silence where none came."""
        pieces: list[Samples] = []
        last = self._heard[0][0] if self._heard else 0.0
        for at, payload in self._heard:
            if at - last > _GAP:
                pieces.append(np.zeros(int((at - last) * RATE) - PACKET))
            pieces.append(decode(payload))
            last = at
        return np.concatenate(pieces) if pieces else np.zeros(0)

    def heard_between(self, start: float, end: float) -> Samples:
        """What came between two moments of the loop's clock, one packet behind the other; nothing where none came."""
        pieces = [decode(payload) for at, payload in self._heard if start <= at < end]
        return np.concatenate(pieces) if pieces else np.zeros(0)

    def datagram_received(self, data: bytes, _addr: tuple[str, int]) -> None:
        if len(data) < 12 or data[0] >> 6 != 2:
            return
        kind, payload = data[1] & 0x7F, data[12 + 4 * (data[0] & 0x0F) :]
        if kind == 0:
            self._heard.append((time.monotonic(), payload))
        elif kind == 101 and len(payload) >= 4:
            self._key(int.from_bytes(data[4:8], "big"), payload)

    def _key(self, stamp: int, payload: bytes) -> None:
        if payload[1] & 0x80 and (stamp, payload[0]) not in self._keys:
            self._keys.add((stamp, payload[0]))
            self.pressed += _KEYS[payload[0]]

    async def _send(self) -> None:
        began, sent = time.monotonic(), 0
        while True:
            self._packet(sent)
            sent += 1
            await asyncio.sleep(max(began + sent * PACKET / RATE - time.monotonic(), 0))

    def _packet(self, number: int) -> None:
        assert self._transport is not None
        self._sequence = (self._sequence + 1) & 0xFFFF
        now = (self._stamp + number * PACKET) & 0xFFFFFFFF
        code, held, last = self._press.pop(0) if self._press else (-1, 0, False)
        if code >= 0:
            began = (now - min(held, 6 * PACKET) + PACKET) & 0xFFFFFFFF
            if held == PACKET:
                self._pressed_at = began
            header = struct.pack("!BBHII", 0x80, 101, self._sequence, self._pressed_at, self._source)
            payload = struct.pack("!BBH", code, 0x8A if last else 0x0A, min(held, 6 * PACKET))
        else:
            header = struct.pack("!BBHII", 0x80, 0, self._sequence, now, self._source)
            payload = self._samples(number)
        self._transport.sendto(header + payload, self._to)

    _pressed_at = 0

    def _samples(self, number: int) -> bytes:
        if len(self.said):
            piece, self.said = self.said[:PACKET], self.said[PACKET:]
            return encode(piece)
        if not self.tone:
            return b"\xff" * PACKET
        when = (np.arange(PACKET) + number * PACKET) / RATE
        return encode(0.25 * np.sin(2 * np.pi * self.tone * when))
