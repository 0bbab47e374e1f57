"""The offline default: espeak-ng in worker processes of ours (ADR 15)."""

import asyncio
import contextlib
import importlib.metadata
import json
import struct
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from engine.media.tts.espeak_voices import espeak_pitch, espeak_voice
from engine.media.tts.port import EngineFailed, Pause, Sound, Utterance

WORKERS = 2
LARGEST = 64 << 20
"""Bytes of an answer; the longest text at its slowest is a quarter of it."""
PAUSE_ENDS = 2.0
"""Seconds to wait for a worker that was told to go."""
COMMAND = (sys.executable, "-P", "-m", "engine.media.tts.espeak_worker")


class EspeakEngine:
    """At most ``workers`` processes, each with one text at a time. A cancelled render kills its worker."""

    name = "espeak"
    neural = False

    def __init__(self, *, workers: int = WORKERS, command: Sequence[str] = COMMAND) -> None:
        self.command = tuple(command)
        self.slots = asyncio.Semaphore(workers)
        self.idle: list[asyncio.subprocess.Process] = []

    @property
    def version(self) -> str:
        try:
            return importlib.metadata.version("espeakng-loader")
        except importlib.metadata.PackageNotFoundError:
            return "missing"

    async def start(self) -> None:
        with contextlib.suppress(OSError):
            self.idle.append(await self._begin())

    async def close(self) -> None:
        idle, self.idle = self.idle, []
        await asyncio.gather(*(_end(worker) for worker in idle))

    async def render(self, utterance: Utterance) -> Sound:
        async with self.slots:
            try:
                worker = await self._worker()
            except OSError as error:
                raise EngineFailed(f"espeak-ng can't be started: {error.strerror}") from error
            return await self._ask(worker, _request(utterance))

    async def _worker(self) -> asyncio.subprocess.Process:
        while self.idle:
            worker = self.idle.pop()
            if worker.returncode is None:
                return worker
        return await self._begin()

    async def _begin(self) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            *self.command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )

    async def _ask(self, worker: asyncio.subprocess.Process, request: bytes) -> Sound:
        """The worker is idle again only after a whole answer; otherwise nobody knows what it will say next."""
        try:
            sound = await _conversation(worker, request)
        except (OSError, asyncio.IncompleteReadError, ValueError, KeyError, TypeError) as error:
            await _kill(worker)
            raise EngineFailed("espeak-ng died, or went out of its mind") from error
        except EngineFailed:
            self.idle.append(worker)
            raise
        except BaseException:
            await asyncio.shield(_kill(worker))
            raise
        self.idle.append(worker)
        return sound


def _request(utterance: Utterance) -> bytes:
    script = [part.seconds if isinstance(part, Pause) else part for part in utterance.script]
    asked: Mapping[str, Any] = {
        "voice": espeak_voice(utterance),
        "rate": utterance.rate,
        "pitch": espeak_pitch(utterance),
        "script": script,
    }
    return json.dumps(asked).encode()


async def _conversation(worker: asyncio.subprocess.Process, request: bytes) -> Sound:
    assert worker.stdin is not None
    assert worker.stdout is not None
    worker.stdin.write(struct.pack(">I", len(request)) + request)
    await worker.stdin.drain()
    answer = json.loads(await _frame(worker.stdout))
    if "error" in answer:
        raise EngineFailed(f"espeak-ng: {answer['error']}")
    return Sound(await _frame(worker.stdout), int(answer["rate"]))


async def _frame(stream: asyncio.StreamReader) -> bytes:
    (length,) = struct.unpack(">I", await stream.readexactly(4))
    if length > LARGEST:
        raise OSError("not a frame")
    return await stream.readexactly(length)


async def _kill(worker: asyncio.subprocess.Process) -> None:
    with contextlib.suppress(ProcessLookupError):
        worker.kill()
    await worker.wait()


async def _end(worker: asyncio.subprocess.Process) -> None:
    """A worker whose input ends goes by itself."""
    assert worker.stdin is not None
    worker.stdin.close()
    try:
        async with asyncio.timeout(PAUSE_ENDS):
            await worker.wait()
    except TimeoutError:
        await _kill(worker)
