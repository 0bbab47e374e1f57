"""The operations of a server's own description, by nickname, each taken apart once and not at each request.

aioari's own calls walk through the description, write a debug line for each request and read each answer a second time
to make an object of it.
"""

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

import aioari

from engine.errors import Refused
from engine.telephony.ari.http import AriHttp, Reply

Send = Callable[[str, str, Mapping[str, Any] | None], Awaitable[Reply]]
"""Method, URI below ``/ari/`` with its query, body."""


@dataclass(frozen=True, slots=True)
class _Operation:
    method: str
    uri: str
    places: Mapping[str, str]
    """Parameter → path, query or body."""

    def request(self, arguments: Mapping[str, Any]) -> tuple[str, str, Mapping[str, Any] | None]:
        uri, query, body = self.uri, {}, {}
        for name, value in arguments.items():
            if value is None:
                continue
            place = self.places[name]
            if place == "path":
                uri = uri.replace(f"{{{name}}}", quote(str(value), safe=""))
            elif place == "query":
                query[name] = ",".join(value) if isinstance(value, list) else value
            else:
                body[name] = value
        return self.method, f"{uri}?{urlencode(query)}" if query else uri, body or None


class Operations:
    """``send`` is how requests go: over HTTP until something better is known."""

    def __init__(self, client: aioari.Client, http: AriHttp, base: str) -> None:
        self._client = client
        self._known: dict[tuple[str, str], _Operation] = {}
        self.send: Send = over_http(http, base)

    async def call(self, resource: str, nickname: str, **arguments: Any) -> Reply:
        """Raises the errors of ``send``, and Refused (501) for what this server does not know."""
        operation = self._known.get((resource, nickname))
        if operation is None:
            operation = self._known[resource, nickname] = self._prepare(resource, nickname)
        return await self.send(*operation.request(arguments))

    def _prepare(self, resource: str, nickname: str) -> _Operation:
        try:
            described = self._client.swagger.resources[resource]
            operation = described.operations[nickname]
        except KeyError:
            raise Refused(f"this Asterisk has no {resource}.{nickname}", status=501) from None
        # The description repeats our Host header with ``http:``, which is wrong behind a TLS proxy.
        uri = operation.uri.removeprefix(described.json["api_declaration"]["basePath"]).lstrip("/")
        places = {each["name"]: each["paramType"] for each in operation.json.get("parameters", [])}
        return _Operation(operation.json["httpMethod"], uri, places)


def over_http(http: AriHttp, base: str) -> Send:
    async def send(method: str, uri: str, body: Mapping[str, Any] | None) -> Reply:
        if not body:
            return await http.request(method, f"{base}/{uri}")
        return await http.request(
            method, f"{base}/{uri}", headers={"Content-Type": "application/json"}, data=json.dumps(body)
        )

    return send
