"""From a route to what aiohttp calls: credentials, scope, rate, body, fields, then the handler."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from aiohttp import web

from engine.api import auth
from engine.api.body import read_object
from engine.api.encoding import dumps
from engine.api.limits import RateLimiter
from engine.api.route import Ask, Route
from engine.commands.context import Context
from engine.errors import InvalidFields


def endpoint(
    ctx: Context, route: Route, limiter: RateLimiter
) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    limit = ctx.config.http.max_body
    identify = route.dialect.identify if route.dialect else auth.identify

    async def serve(request: web.Request) -> web.StreamResponse:
        body: Mapping[str, Any] = {}
        if route.enter is not None:
            identity, body = await route.enter(ctx, request)
        else:
            identity = await identify(ctx, request)
        auth.require(identity, route.scope)
        limiter.take(identity.account)
        fields: Mapping[str, Any] = {}
        if route.body is not None and (request.body_exists or route.query is None):
            body = await read_object(request, limit=limit)
            fields = route.body.parse(body)
        elif route.query is not None:
            fields = route.query.parse(_query(request))
        given = await route.handler(Ask(ctx, request, identity, fields, body))
        return given if isinstance(given, web.StreamResponse) else success(given)

    return serve


def success(members: Mapping[str, Any], *, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    body = dumps({"response": {**members, "success": "true"}})
    return web.Response(status=status, body=body, content_type="application/json", headers=headers)


def _query(request: web.Request) -> Mapping[str, Any]:
    query = request.query
    if len(query) != len(set(query)):
        raise InvalidFields({name[:64]: "appears twice" for name in set(query) if len(query.getall(name)) > 1})
    return query
