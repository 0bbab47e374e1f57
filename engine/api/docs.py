"""The description of the API: for programs /api/openapi.json, for people /api/docs. Nothing comes from elsewhere."""

from collections.abc import Awaitable, Callable, Iterable
from importlib.resources import files

from aiohttp import web

from engine.api.encoding import dumps
from engine.api.openapi import document
from engine.api.route import OpenRoute, Route
from engine.commands.context import Context

_Served = Callable[[web.Request], Awaitable[web.StreamResponse]]
_POLICY = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'"


def page(_ctx: Context) -> _Served:
    return _packed("docs.html", "text/html")


def script(_ctx: Context) -> _Served:
    return _packed("docs.js", "text/javascript")


def style(_ctx: Context) -> _Served:
    return _packed("docs.css", "text/css")


def _packed(name: str, content_type: str) -> _Served:
    return _serve(files("engine.api").joinpath("page", name).read_bytes(), content_type)


def _serve(body: bytes, content_type: str) -> _Served:
    async def serve(_request: web.Request) -> web.Response:
        headers = {"Content-Security-Policy": _POLICY}
        return web.Response(body=body, content_type=content_type, charset="utf-8", headers=headers)

    return serve


_PAGE = (
    OpenRoute("/api/docs", "This description as a page", page, content_type="text/html"),
    OpenRoute("/api/docs.js", "Script of the page", script, content_type="text/javascript"),
    OpenRoute("/api/docs.css", "Style of the page", style, content_type="text/css"),
)


def described(routes: Iterable[Route], opened: Iterable[OpenRoute]) -> tuple[OpenRoute, ...]:
    """``opened``, and the routes that describe all of them, themselves included."""

    def description(_ctx: Context) -> _Served:
        return _serve(dumps(document(routes, everything)), "application/json")

    everything = (*opened, OpenRoute("/api/openapi.json", "This description", description), *_PAGE)
    return everything
