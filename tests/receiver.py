"""Where web hooks are sent in tests."""

import asyncio
import json
import time

from aiohttp import web
from standardwebhooks import Webhook as Verifier


class Receiver:
    """Keeps what came, in order; ``statuses`` are its next answers, then 204; ``then`` is done before each answer."""

    def __init__(self):
        self.got = []
        self.at = []
        """When each came, seconds since the epoch."""
        self.statuses = []
        self.hold = asyncio.Event()
        self.hold.set()
        self.at_once = 0
        self.most_at_once = 0
        self.headers = {}
        self.then = None

    async def start(self):
        app = web.Application()
        app.router.add_post("/{path:.*}", self._handle)
        self.runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self.runner.setup()
        await web.TCPSite(self.runner, "127.0.0.1", 0).start()
        self.port = self.runner.addresses[0][1]

    async def _handle(self, request):
        body = await request.read()
        self.at.append(time.time())
        self.got.append((request.path, dict(request.headers), json.loads(body), body))
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        await self.hold.wait()
        if self.then is not None:
            await self.then(self.got[-1][2])
        self.at_once -= 1
        status = self.statuses.pop(0) if self.statuses else 204
        return web.Response(status=status, headers=self.headers)

    def url(self, path="/", host="127.0.0.1"):
        return f"http://{host}:{self.port}{path}"

    def verified(self, secret):
        """Bodies of what came, each with a good signature."""
        return [Verifier(secret).verify(raw, headers) for _, headers, _, raw in self.got]

    @property
    def told(self):
        """(type, request id, sequence) of each."""
        return [(b["type"], b["data"].get("request_id"), b["data"]["sequence"]) for _, _, b, _ in self.got]
