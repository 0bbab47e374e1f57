"""Is it alive, can it take calls, what does it count."""

from collections.abc import Awaitable, Callable

from aiohttp import web
from prometheus_client import generate_latest

from engine.api.encoding import dumps
from engine.api.route import OpenRoute
from engine.commands.context import Context
from engine.errors import Unavailable

_Served = Callable[[web.Request], Awaitable[web.StreamResponse]]


def alive(_ctx: Context) -> _Served:
    async def serve(_request: web.Request) -> web.Response:
        return _json(200, b'{"status":"alive"}')

    return serve


def ready(ctx: Context) -> _Served:
    async def serve(_request: web.Request) -> web.Response:
        parts = dict(ctx.engine.ready())
        try:
            ctx.engine.accepting()
        except Unavailable as error:
            return _json(503, dumps({"status": "unready", "reason": error.message, "parts": parts}))
        well = all(parts.values())
        return _json(200 if well else 503, dumps({"status": "ready" if well else "unready", "parts": parts}))

    return serve


def metrics(ctx: Context) -> _Served:
    async def serve(_request: web.Request) -> web.Response:
        headers = {"Content-Type": "text/plain; version=0.0.4; charset=utf-8"}
        return web.Response(body=generate_latest(ctx.registry), headers=headers)

    return serve


def _json(status: int, body: bytes) -> web.Response:
    headers = {"Retry-After": "1"} if status == 503 else None  # noqa: PLR2004
    return web.Response(status=status, body=body, content_type="application/json", headers=headers)


ROUTES = (
    OpenRoute("/healthz", "The process lives", alive),
    OpenRoute("/readyz", "It can take calls; what it needs, part by part", ready, unready=True),
    OpenRoute("/metrics", "Counters for Prometheus", metrics, content_type="text/plain"),
)
