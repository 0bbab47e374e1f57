"""The process of the far end: answers the calls of both sides, and is the HTTP client that asks the engine for its own.

Told by lines of JSON on standard input, each answered by one on standard output: ``talk`` (seconds from answer to
hang-up), ``load`` (click-to-calls to be asked for; answered when they are over), ``invites`` (when each number was
called since ``talk``). One process for both, so that the engine's side has as few processes beside it as the bare one.
"""

import asyncio
import json
import sys
import time
from collections import deque
from functools import partial
from typing import Any, cast

import uvloop

from tests.bench.load import Load, Run
from tests.bench.orders import obey
from tests.bench.sip import AGENT, CUSTOMER, FarEnd

CONNECTIONS = 20


class Http(asyncio.Protocol):
    """One kept-alive connection; one request at a time."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport | None = None
        self.waiter: asyncio.Future[bytes] | None = None
        self._data = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)  # uvloop's do not inherit from it

    def data_received(self, data: bytes) -> None:
        self._data += data
        head, found, body = self._data.partition(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n", 1)[0] or 0)
        if found and len(body) >= length and self.waiter is not None:
            waiter, self.waiter, self._data = self.waiter, None, b""
            if not waiter.done():
                waiter.set_result(head[9:12])

    def connection_lost(self, _error: Exception | None) -> None:
        if self.waiter is not None and not self.waiter.done():
            self.waiter.set_result(b"000")

    async def post(self, data: bytes) -> bytes:
        """The status."""
        assert self.transport is not None
        self.waiter = asyncio.get_running_loop().create_future()
        self.transport.write(data)
        return await self.waiter


class Callers:
    """Asks the engine for click-to-calls. A call is over when both its parties have hung up, or it was refused."""

    def __init__(self, task: dict[str, Any]) -> None:
        self._task = task
        self._first: int = task["first"]
        self._free: deque[Http] = deque()
        self._waiting: deque[int] = deque()
        self._parties: dict[bytes, int] = {}
        self._path: str = task.get("path", "/api/click2call")
        self._body: dict[str, Any] | None = task.get("body")
        """Of an announcement, to which the number is added; None: a click-to-call."""
        self._tasks: set[asyncio.Task[None]] = set()
        self.sent: dict[str, int] = {}
        self.answer_ms: list[float] = []
        self.statuses: dict[str, int] = {}
        self._run = Run(Load(**task["load"]), self._begin)

    def party_ended(self, number: bytes) -> None:
        call = number[len(AGENT) :]
        left = self._parties.get(call)
        if left is None:
            return
        if left > 1:
            self._parties[call] = left - 1
        else:
            del self._parties[call]
            self._run.ended()

    async def run(self) -> dict[str, Any]:
        loop = asyncio.get_running_loop()
        for _ in range(CONNECTIONS):
            _, connection = await loop.create_connection(Http, "127.0.0.1", self._task["port"])
            self._free.append(connection)
        began = time.time_ns()
        unended = await self._run.finish()
        ended = time.time_ns()
        for connection in self._free:
            if connection.transport is not None:
                connection.transport.close()
        return {
            "sent": self.sent, "began": began, "ended": ended, "unended": unended, "statuses": self.statuses,
            "answer_ms": self.answer_ms,
        }  # fmt: skip

    def _begin(self, i: int) -> None:
        self._waiting.append(i)
        self._go()

    def _go(self) -> None:
        while self._waiting and self._free:
            task = asyncio.create_task(self._post(self._free.popleft(), self._waiting.popleft()))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def _request(self, call: bytes) -> bytes:
        if self._body is not None:
            return json.dumps({**self._body, "customer_number": (AGENT + call).decode()}).encode()
        body = b'{"agent_number":"%s%s","destination_number":"%s%s","caller_id":"15168148111","recording_option":"off"}'
        return body % (AGENT, call, CUSTOMER, call)

    async def _post(self, connection: Http, i: int) -> None:
        call = b"%08d" % (self._first + i)
        body = self._request(call)
        head = (
            f"POST {self._path} HTTP/1.1\r\nHost: 127.0.0.1\r\naccount: {self._task['account']}\r\n"
            f"auth: {self._task['auth']}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        self._parties[call] = 2 if self._body is None else 1
        self.sent[call.decode()] = at = time.time_ns()
        status = (await connection.post(head.encode() + body)).decode()
        self.answer_ms.append((time.time_ns() - at) / 1e6)
        self.statuses[status] = self.statuses.get(status, 0) + 1
        self._free.append(connection)
        if status != "200":
            self._parties.pop(call, None)
            self._run.ended()
        self._go()


async def serve(port: int) -> None:
    far_end = FarEnd()
    far_end.start(port)
    await obey(partial(_do, far_end))
    await far_end.stop()


async def _do(far_end: FarEnd, task: dict[str, Any]) -> dict[str, Any]:
    match task["do"]:
        case "talk":
            far_end.talk, far_end.speaks = task["seconds"], task.get("speaks", False)
            far_end.invites.clear()
            far_end.resent = far_end.cancelled = 0
        case "load":
            callers = Callers(task)
            far_end.on_end = callers.party_ended
            return await callers.run()
        case "invites":
            return {
                "invites": {number.decode(): at for number, at in far_end.invites.items()},
                "live": len(far_end.dialogs), "resent": far_end.resent, "cancelled": far_end.cancelled,
            }  # fmt: skip
        case "hang_up":
            for call_id in list(far_end.dialogs):
                far_end._hang_up(call_id)
    return {}


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1])))
