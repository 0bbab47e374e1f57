"""A route: what is asked for, who may ask, and what is answered. The server and the OpenAPI document are made from it."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from engine.api.fields import Field, Schema
from engine.calls.account import Account, Identity
from engine.commands import idempotency
from engine.commands.context import Context
from engine.errors import NotFound


@dataclass(slots=True)
class Ask:
    """One request, finished: authenticated, parsed, judged."""

    ctx: Context
    http: web.Request
    identity: Identity
    fields: Mapping[str, Any]
    """Parsed fields of the body (or of the query, for a route without body)."""
    body: Mapping[str, Any]
    """The body as it came; {} without."""

    @property
    def account(self) -> Account:
        return self.identity.account

    @property
    def name(self) -> str:
        """Value of the ``account`` header."""
        return self.identity.account.account

    def path(self, name: str) -> str:
        """Raises NotFound for a text that nothing can be called."""
        text = self.http.match_info[name]
        if "\x00" in text:
            raise NotFound("nothing has such a name")
        return text

    async def key(self, body: Mapping[str, Any] | None = None) -> idempotency.Key | None:
        """The idempotency key, if the request has one. ``body`` stands for an upload's. Raises InvalidFields, StoreAway."""
        header = self.http.headers.get(idempotency.HEADER)
        if header is None:
            return None
        operation = f"{self.http.method} {self.http.path}"
        return await idempotency.key_of(self.ctx, header, operation=operation, body=self.body if body is None else body)


Handler = Callable[[Ask], Awaitable[Mapping[str, Any] | web.StreamResponse]]
"""Gives the members of ``response`` beside ``success``, or an answer of its own."""
Enter = Callable[[Context, web.Request], Awaitable[tuple[Identity, Mapping[str, Any]]]]
"""Gives who asks, and the body as it came. Raises Unauthenticated and what reading a body raises."""
OpenHandler = Callable[[Context], Callable[[web.Request], Awaitable[web.StreamResponse]]]


@dataclass(frozen=True, slots=True)
class Answer:
    """A success, for the OpenAPI document. ``schema`` and ``example`` are the members of ``response``; of a dialect they
    are the whole."""

    doc: str
    schema: Mapping[str, Any] = field(default_factory=dict)
    example: Any = field(default_factory=dict)
    content_type: str = "application/json"
    bare: bool = False
    """Without the envelope ``response``."""


@dataclass(frozen=True, slots=True)
class Dialect:
    """How one of the API's documents differs from our own routes: who asks, and the shape of answers. Its handlers read
    their bodies and write their answers themselves; errors are worded by path (engine.api.server)."""

    identify: Callable[[Context, web.Request], Awaitable[Identity]]
    security: tuple[Mapping[str, Any], ...]
    problem: Mapping[str, Any]
    """JSON schema of an error."""
    example: Callable[[int, str], Mapping[str, Any]]
    """An error, for the OpenAPI document."""


@dataclass(frozen=True, slots=True)
class Route:
    method: str
    path: str
    summary: str
    handler: Handler
    scope: str
    """read, call, campaign or admin."""
    answers: Mapping[int, Answer]
    body: Schema | None = None
    query: Schema | None = None
    """With ``body`` too: the fields may come either way."""
    upload: Mapping[str, Any] | None = None
    """Content type → media type object, of a body that the handler reads itself."""
    parameters: tuple[Field, ...] = ()
    """Parts of the path."""
    errors: tuple[int, ...] = ()
    """Statuses beside those that every route may give."""
    enter: Enter | None = None
    """Who asks, where the headers ``account`` and ``auth`` do not say it."""
    creates: bool = False
    """Takes ``Idempotency-Key``."""
    dialect: Dialect | None = None


@dataclass(frozen=True, slots=True)
class OpenRoute:
    """What needs no credentials in headers: health, metrics, documentation, tokens."""

    path: str
    summary: str
    handler: OpenHandler
    content_type: str = "application/json"
    unready: bool = False
    """May also answer 503."""
    method: str = "GET"
    described: Mapping[str, Any] = field(default_factory=dict)
    """Members of its OpenAPI operation that are not made of the above."""


def placing(path: str, summary: str, handler: Handler, body: Schema, *, example: str) -> Route:
    """A route that places one call and answers with its ``request_id``."""
    answer = {"request_id": {"type": "string", "pattern": "^[0-9a-f]{10}$"}}
    return Route(
        "POST",
        path,
        summary,
        handler,
        scope="call",
        body=body,
        creates=True,
        errors=(409, 503),
        answers={200: Answer("The call is committed and under way", answer, {"request_id": example})},
    )
