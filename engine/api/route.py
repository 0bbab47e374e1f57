"""A route: what is asked for, who may ask, and what is answered. The server and the OpenAPI document are made from it."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from engine.api.fields import Field, Schema
from engine.calls.account import Account, Identity
from engine.commands import idempotency
from engine.commands.context import Context


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
        return self.http.match_info[name]

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
    """A success, for the OpenAPI document. ``schema`` and ``example`` are the members of ``response``."""

    doc: str
    schema: Mapping[str, Any] = field(default_factory=dict)
    example: Mapping[str, Any] = field(default_factory=dict)
    content_type: str = "application/json"
    bare: bool = False
    """Without the envelope ``response``."""


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


@dataclass(frozen=True, slots=True)
class OpenRoute:
    """A GET that needs no credentials: health, metrics, documentation."""

    path: str
    summary: str
    handler: OpenHandler
    content_type: str = "application/json"
    unready: bool = False
    """May also answer 503."""
