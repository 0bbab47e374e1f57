"""Errors as answers. One table: class → status; the nearest class in the tree wins."""

import secrets
from collections.abc import Callable, Mapping

import structlog
from aiohttp import web

from engine import errors
from engine.api.encoding import dumps

log = structlog.get_logger(__name__)

STATUS: dict[type[Exception], int] = {
    errors.Unreadable: 400,
    errors.Unauthenticated: 401,
    errors.Forbidden: 403,
    errors.NotFound: 404,
    errors.StateConflict: 409,
    errors.TooLarge: 413,
    errors.UnsupportedType: 415,
    errors.InvalidFields: 422,
    errors.UnsafeValue: 422,
    errors.TooMany: 429,
    errors.Unavailable: 503,
    errors.StoreAway: 503,
    errors.TelephonyError: 503,
}
MEANING = {
    400: "The body can't be parsed as JSON",
    401: "Missing or wrong credentials",
    403: "A gate or a scope says no; `errors.rule` names it",
    404: "Unknown, or of another account",
    409: "Its state, or an idempotency key used before, forbids it",
    413: "The body is over the size limit",
    415: "The body's content type is not application/json",
    422: "Fields are missing, unknown or wrong; `errors` has a reason for each",
    429: "Over the account's request rate",
    503: "A part that is needed is away; try again after `Retry-After` seconds",
}
RETRY_AFTER = 5
"""Seconds advised when the error itself does not say."""


def status_of(error: Exception) -> int:
    return next((STATUS[kind] for kind in type(error).__mro__ if kind in STATUS), 500)


Form = Callable[[int, str, Mapping[str, str], Mapping[str, str]], web.Response]
"""(status, message, reasons by field, headers) → the answer, as one of the dialects words it."""


def response(error: Exception, form: Form | None = None) -> web.Response:
    """The answer for ``error``. What is unforeseen is logged with an id, which is all that the client is told."""
    form = form or envelope
    if isinstance(error, web.HTTPException):
        return _of_http(error, form)
    status = status_of(error)
    if status == 500:  # noqa: PLR2004
        return _unforeseen(error, form)
    if isinstance(error, errors.StoreError | errors.TelephonyError):
        log.warning("part_away", error=f"{type(error).__name__}: {error}")
    message, reasons = _told(error)
    answer = form(status, message, reasons, _headers(error, status))
    if status == 413:  # noqa: PLR2004
        answer.force_close()  # what is left of the body is not worth reading
    return answer


def envelope(
    status: int, message: str, reasons: Mapping[str, str] | None = None, headers: Mapping[str, str] | None = None
) -> web.Response:
    body = {"response": {"success": "false", "message": message, "errors": dict(reasons or {})}}
    return web.Response(status=status, body=dumps(body), content_type="application/json", headers=headers)


def _told(error: Exception) -> tuple[str, Mapping[str, str]]:
    match error:
        case errors.InvalidFields():
            return f"{error.message}: {', '.join(error.fields)}", error.fields
        case errors.Forbidden():
            return f"{error.message} (rule {error.rule})", {"rule": error.rule}
        case errors.RequestError():
            return error.message, {}
        case errors.UnsafeValue():
            return "a value holds characters that are not allowed", {}
        case errors.StoreAway():
            return "the database is away", {}
        case _:
            return "the telephone system is away", {}


def _headers(error: Exception, status: int) -> dict[str, str]:
    if status in (429, 503):
        return {"Retry-After": str(getattr(error, "retry_after", RETRY_AFTER))}
    if status == 401:  # noqa: PLR2004
        return {"WWW-Authenticate": 'Account realm="trunkline"'}
    return {}


def _unforeseen(error: Exception, form: Form) -> web.Response:
    incident = secrets.token_hex(6)
    log.error("request_failed", incident=incident, exc_info=error)
    return form(500, "internal error", {"incident": incident}, {})


_HTTP = {404: "no such path", 405: "this path does not take this method", 408: "the body did not arrive in time"}


def _of_http(error: web.HTTPException, form: Form) -> web.Response:
    """What aiohttp raises by itself: unknown path, wrong method, body too large."""
    headers = {name: value for name, value in error.headers.items() if name == "Allow"}
    return form(error.status, _HTTP.get(error.status, error.reason.lower()), {}, headers)
