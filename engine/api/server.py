"""The HTTP server: routes from one table, and what is done for every request whatever its route."""

import secrets
import time
from collections.abc import Awaitable, Callable

import structlog
from aiohttp import web
from aiohttp.typedefs import Middleware

from engine.api import oauth, problems
from engine.api.call_control import dialect as call_control
from engine.api.endpoint import endpoint
from engine.api.limits import RateLimiter
from engine.api.metrics import ApiMetrics
from engine.api.table import OPEN_ROUTES, ROUTES
from engine.commands.context import Context
from engine.errors import ConfigError, Forbidden

log = structlog.get_logger(__name__)

_POLLED = frozenset(route.path for route in OPEN_ROUTES)
"""Asked for all the time, by programs."""
_FORMS: dict[str, problems.Form] = {
    "/cc/": call_control.problem,
    "/registration/": call_control.problem,
    "/oauth/": oauth.problem,
}
"""Beginning of a path → how errors are worded there, if not in our own envelope."""
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def create_app(ctx: Context) -> web.Application:
    """The application, to be run with ``access_log=None``: requests are logged and counted here."""
    app = web.Application(middlewares=[_around(ApiMetrics(ctx.registry))], client_max_size=ctx.config.http.max_body)
    limiter = RateLimiter()
    for route in ROUTES:
        serve = endpoint(ctx, route, limiter)
        if route.method == "GET":
            app.router.add_get(route.path, serve)  # answers HEAD too
        else:
            app.router.add_route(route.method, route.path, serve)
    for opened in OPEN_ROUTES:
        if opened.method == "GET":
            app.router.add_get(opened.path, opened.handler(ctx))
        else:
            app.router.add_route(opened.method, opened.path, opened.handler(ctx))
    return app


Server = web.AppRunner


async def serve(ctx: Context) -> Server:
    """Listen where the configuration says; ``cleanup`` ends it. Raises ConfigError when that is taken."""
    http = ctx.config.http
    runner = web.AppRunner(create_app(ctx), access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, http.host, http.port).start()
    except OSError as error:
        await runner.cleanup()
        raise ConfigError(f"http: {http.host}:{http.port}: {error.strerror or error}") from error
    return runner


def _around(metrics: ApiMetrics) -> Middleware:
    @web.middleware
    async def around(request: web.Request, handler: Handler) -> web.StreamResponse:
        """Errors become answers; every answer is named, counted, logged and not cached."""
        started = time.perf_counter()
        try:
            answer = await handler(request)
        except Exception as error:  # noqa: BLE001 - the table of problems says what each one is; none may pass
            answer = problems.response(error, _form(request.path))
            if isinstance(error, Forbidden):
                metrics.refusals.labels(error.rule).inc()
        _name(answer)
        _note(metrics, request, answer.status, time.perf_counter() - started)
        return answer

    return around


def _form(path: str) -> problems.Form | None:
    return next((form for begin, form in _FORMS.items() if path.startswith(begin)), None)


def _name(answer: web.StreamResponse) -> None:
    headers = answer.headers
    headers["X-Request-Id"] = secrets.token_hex(8)
    headers["Server"] = "trunkline"
    headers.setdefault("Cache-Control", "no-store")
    headers["X-Content-Type-Options"] = "nosniff"


def _note(metrics: ApiMetrics, request: web.Request, status: int, seconds: float) -> None:
    resource = request.match_info.route.resource
    route = resource.canonical if resource is not None else "none"
    metrics.requests.labels(route, request.method, str(status)).inc()
    metrics.seconds.labels(route).observe(seconds)
    refused = status >= 400 and route not in _POLLED  # noqa: PLR2004
    write = log.info if refused else log.debug
    write("request", method=request.method, route=route, status=status, ms=round(seconds * 1000, 2))
