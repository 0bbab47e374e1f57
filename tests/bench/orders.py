"""How a helper process is told what to do: a line of JSON in, a line of JSON out."""

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable
from typing import Any


async def obey(do: Callable[[dict[str, Any]], Awaitable[dict[str, Any]]]) -> None:
    """Until standard input ends. An empty object is written first: ready."""
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    _write({})
    while line := await reader.readline():
        _write(await do(json.loads(line)))


def _write(answer: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()
