"""POST /oauth/token: a bearer token for an account's id and secret (RFC 6749 §4.4; errors §5.2)."""

import asyncio
import base64
import binascii
from collections.abc import Awaitable, Callable, Mapping
from urllib.parse import parse_qsl, unquote_plus

from aiohttp import web

from engine.api.body import READ_WITHIN
from engine.api.encoding import dumps
from engine.api.route import OpenRoute
from engine.calls.account import SCOPES
from engine.commands import tokens
from engine.commands.context import Context
from engine.errors import Forbidden, InvalidFields

FORM = "application/x-www-form-urlencoded"
GRANT = "client_credentials"
_LONGEST = 8192
"""Bytes of a form."""
_MOST = 256
"""Characters of an id or a secret."""


class OAuthError(Exception):
    """``code`` is one of RFC 6749's; ``message`` is for people."""

    def __init__(self, code: str, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.code, self.message, self.status = code, message, status


def serve(ctx: Context) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    async def token(request: web.Request) -> web.Response:
        try:
            issued = await tokens.execute(ctx, _grant(request, await _form(request)))
        except OAuthError as error:
            return _error(error.status, error.code, error.message)
        except (InvalidFields, Forbidden) as error:
            return _error(400, "invalid_scope", str(error))
        return _answer(
            200,
            {
                "access_token": issued.token,
                "token_type": "Bearer",
                "expires_in": issued.lifetime,
                "scope": " ".join(issued.scopes),
            },
        )

    return token


async def _form(request: web.Request) -> Mapping[str, str]:
    """The form's parameters. One without a value counts as left out, one that comes twice is an error (§3.2)."""
    if request.content_type != FORM:
        raise OAuthError("invalid_request", f"the content type must be {FORM}")
    if (request.content_length or 0) > _LONGEST:
        raise OAuthError("invalid_request", f"the form is over {_LONGEST} bytes")
    try:
        async with asyncio.timeout(READ_WITHIN):
            raw = await request.read()
        pairs = parse_qsl(raw.decode(), max_num_fields=32, errors="strict")
    except TimeoutError:
        raise OAuthError("invalid_request", "the form did not arrive in time", 408) from None
    except (web.HTTPRequestEntityTooLarge, UnicodeDecodeError, ValueError):
        raise OAuthError("invalid_request", "the body is not a form") from None
    names = [name for name, _ in pairs]
    for name in ("grant_type", "client_id", "client_secret", "scope"):
        if names.count(name) > 1:
            raise OAuthError("invalid_request", f"{name} appears twice")
    return dict(pairs)


def _grant(request: web.Request, form: Mapping[str, str]) -> tokens.Grant:
    grant_type = form.get("grant_type", "")
    if not grant_type:
        raise OAuthError("invalid_request", "grant_type is required")
    if grant_type != GRANT:
        raise OAuthError("unsupported_grant_type", f"grant_type must be {GRANT}")
    account, auth = _client(request, form)
    if not (0 < len(account) <= _MOST and 0 < len(auth) <= _MOST and (account + auth).isprintable()):
        raise OAuthError("invalid_client", "missing or wrong credentials", 401)
    return tokens.Grant(account, auth, form.get("scope", "").split())


def _client(request: web.Request, form: Mapping[str, str]) -> tuple[str, str]:
    """Id and secret, out of the form or out of HTTP Basic authentication (§2.3.1), not both."""
    header = request.headers.get("Authorization", "")
    if not header:
        return form.get("client_id", ""), form.get("client_secret", "")
    if "client_secret" in form:
        raise OAuthError("invalid_request", "the secret came twice: in the form and in the header")
    kind, _, value = header.partition(" ")
    try:
        account, _, auth = base64.b64decode(value.strip(), validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        kind = ""
    if kind.lower() != "basic":
        raise OAuthError("invalid_client", "the Authorization header must be of scheme Basic", 401)
    return unquote_plus(account), unquote_plus(auth)


_CODES = {401: "invalid_client", 403: "unauthorized_client", 429: "temporarily_unavailable",
          500: "server_error", 503: "temporarily_unavailable"}  # fmt: skip


def problem(status: int, message: str, _reasons: Mapping[str, str], headers: Mapping[str, str]) -> web.Response:
    """An error of any kind on these paths."""
    return _error(status, _CODES.get(status, "invalid_request"), message, headers)


def _error(status: int, code: str, message: str, headers: Mapping[str, str] | None = None) -> web.Response:
    challenge = {"WWW-Authenticate": 'Basic realm="trunkline"'} if status == 401 else {}  # noqa: PLR2004
    text = "".join(each for each in message if each.isascii() and each.isprintable() and each not in '"\\')
    return _answer(status, {"error": code, "error_description": text}, {**(headers or {}), **challenge})


def _answer(status: int, body: Mapping[str, object], headers: Mapping[str, str] | None = None) -> web.Response:
    kept = {"Cache-Control": "no-store", "Pragma": "no-cache", **(headers or {})}
    return web.Response(status=status, body=dumps(body), content_type="application/json", headers=kept)


_TEXT = {"type": "string"}
_FORM_SCHEMA = {
    "type": "object",
    "required": ["grant_type", "client_id", "client_secret"],
    "properties": {
        "grant_type": {"const": GRANT},
        "client_id": {**_TEXT, "description": "The account; with the secret it may come by HTTP Basic instead"},
        "client_secret": {**_TEXT, "description": "The account's auth"},
        "scope": {**_TEXT, "description": f"Some of {' '.join(SCOPES)}; left out: all that the secret has"},
    },
}
_TOKEN_SCHEMA = {
    "type": "object",
    "required": ["access_token", "token_type", "expires_in", "scope"],
    "properties": {
        "access_token": _TEXT,
        "token_type": {"const": "Bearer"},
        "expires_in": {"type": "integer", "description": "Seconds"},
        "scope": _TEXT,
    },
}
_ERROR_SCHEMA = {
    "type": "object",
    "required": ["error"],
    "properties": {"error": _TEXT, "error_description": _TEXT},
}
_TOKEN = {
    "access_token": "tlt_2YotnFZFEjr1zCsicMWpAA",
    "token_type": "Bearer",
    "expires_in": tokens.LIFETIME,
    "scope": " ".join(SCOPES),
}


def _failure(doc: str, code: str) -> dict[str, object]:
    content = {"schema": _ERROR_SCHEMA, "example": {"error": code}}
    return {"description": doc, "content": {"application/json": content}}


ROUTES = (
    OpenRoute(
        "/oauth/token",
        "A bearer token for an account's id and secret",
        serve,
        method="POST",
        described={
            "operationId": "post_oauth_token",
            "tags": ["oauth"],
            "requestBody": {"required": True, "content": {FORM: {"schema": _FORM_SCHEMA}}},
            "responses": {
                "200": {
                    "description": "The token; it is shown this once",
                    "content": {"application/json": {"schema": _TOKEN_SCHEMA, "example": _TOKEN}},
                },
                "400": _failure("The form is not right; `error` is one of RFC 6749's codes", "unsupported_grant_type"),
                "401": _failure("Wrong id or secret", "invalid_client"),
                "503": _failure("A part that is needed is away", "temporarily_unavailable"),
            },
        },
    ),
)
