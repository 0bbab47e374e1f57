"""The OpenAPI 3.1 document, made from the route table, so that it can't drift from what is served."""

from collections.abc import Iterable, Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from engine.api.fields import Field, Schema, describe
from engine.api.problems import MEANING
from engine.api.route import Answer, Dialect, OpenRoute, Route
from engine.calls.account import SCOPES
from engine.commands.idempotency import HEADER

_ALWAYS = (401, 403, 429)
_WITH_BODY = (400, 413, 415, 422)
_RETRIES = (429, 503)
_PROBLEM = {
    "type": "object",
    "required": ["response"],
    "properties": {
        "response": {
            "type": "object",
            "required": ["success", "message", "errors"],
            "properties": {
                "success": {"const": "false"},
                "message": {"type": "string"},
                "errors": {
                    "type": "object",
                    "additionalProperties": {"type": "string"},
                    "description": "Field → reason; of a 403 `rule` → the gate's or scope's name",
                },
            },
        }
    },
}
_EXAMPLES: Mapping[int, Mapping[str, Any]] = {
    400: {"message": "the body must be a JSON object", "errors": {}},
    401: {"message": "missing or wrong credentials", "errors": {}},
    403: {"message": "the caller id is not one of the account's (rule caller_id)", "errors": {"rule": "caller_id"}},
    404: {"message": "no call has this request_id", "errors": {}},
    409: {"message": "the call has ended already", "errors": {}},
    413: {"message": "the body is over 1048576 bytes", "errors": {}},
    415: {"message": "the content type must be application/json", "errors": {}},
    422: {"message": "invalid fields: caller_id", "errors": {"caller_id": "is required"}},
    429: {"message": "over 600 requests per minute", "errors": {}},
    503: {"message": "the database is away", "errors": {}},
}


def document(routes: Iterable[Route], opened: Iterable[OpenRoute]) -> dict[str, Any]:
    paths: dict[str, dict[str, Any]] = {}
    schemas: dict[str, Any] = {"Problem": _PROBLEM}
    for route in routes:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route)
        if route.body is not None:
            schemas[route.body.name] = route.body.openapi()
    for item in opened:
        paths.setdefault(item.path, {})[item.method.lower()] = {**_open_operation(item), **item.described}
    return {
        "openapi": "3.1.0",
        "info": {"title": "Trunkline", "version": _version(), "license": {"name": "MIT", "identifier": "MIT"}},
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                name: {"type": "apiKey", "in": "header", "name": name, "description": doc}
                for name, doc in (("account", "The account's id"), ("auth", "The account's secret"))
            }
            | {
                "basic": {"type": "http", "scheme": "basic", "description": "The account's id and its secret"},
                "token": {
                    "type": "oauth2",
                    "description": "A bearer token of the account; stands for `account` and `auth` on every route",
                    "flows": {"clientCredentials": {"tokenUrl": "/oauth/token", "scopes": dict.fromkeys(SCOPES, "")}},
                },
            },
        },
    }


def _version() -> str:
    try:
        return version("trunkline")
    except PackageNotFoundError:
        return "0"


def _operation(route: Route) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "summary": route.summary,
        "operationId": _operation_id(route.method, route.path),
        "tags": [route.handler.__module__.removeprefix("engine.api.").split(".")[0]],
        "description": f"Scope: `{route.scope}`.",
        "security": _security(route),
        "parameters": _parameters(route),
        "responses": _responses(route),
    }
    if route.upload is not None:
        operation["requestBody"] = {"required": True, "content": dict(route.upload)}
    if route.body is not None:
        reference = {"$ref": f"#/components/schemas/{route.body.name}"}
        required = route.query is None
        operation["requestBody"] = {"required": required, "content": {"application/json": {"schema": reference}}}
    return operation


def _security(route: Route) -> list[Mapping[str, Any]]:
    if route.dialect is not None:
        return list(route.dialect.security)
    return [{"account": [], "auth": []}, {"token": []}, *([{"basic": []}, {}] if route.enter else [])]


def _operation_id(method: str, path: str) -> str:
    words = path.removeprefix("/api/").translate(str.maketrans("/", "_", "{}"))
    return f"{method.lower()}_{words}"


def _parameters(route: Route) -> list[dict[str, Any]]:
    found = [_parameter(item, "path", required=True) for item in route.parameters]
    query = route.query.fields if isinstance(route.query, Schema) else ()
    found += [_parameter(item, "query", required=item.required) for item in query]
    if route.creates:
        schema = {"type": "string", "minLength": 1, "maxLength": 255}
        doc = "Kept 24 h: the same key with the same body gives the first answer, with another body 409"
        found.append({"name": HEADER, "in": "header", "required": False, "schema": schema, "description": doc})
    return found


def _parameter(item: Field, where: str, *, required: bool) -> dict[str, Any]:
    schema = describe(item)
    example, doc = schema.pop("example"), schema.pop("description")
    return {
        "name": item.name,
        "in": where,
        "required": required,
        "description": doc,
        "schema": schema,
        "example": example,
    }


def _responses(route: Route) -> dict[str, Any]:
    dialect = route.dialect
    answers: dict[str, Any] = {
        str(status): _plain(answer) if dialect else _success(status, answer) for status, answer in route.answers.items()
    }
    checked = _WITH_BODY if route.body is not None else (422,) if route.query is not None else ()
    statuses = sorted({*_ALWAYS, *checked, *route.errors})
    return answers | {str(status): _failure(status, dialect) for status in statuses}


def _plain(answer: Answer) -> dict[str, Any]:
    """An answer of a dialect: as it stands, in no envelope."""
    content: dict[str, Any] = {"schema": dict(answer.schema)}
    if answer.example:
        content["example"] = answer.example
    return {"description": answer.doc, "content": {answer.content_type: content}}


def _success(status: int, answer: Answer) -> dict[str, Any]:
    if answer.content_type != "application/json":
        return {"description": answer.doc, "content": {answer.content_type: {}}}
    if answer.bare:
        return {
            "description": answer.doc,
            "content": {"application/json": {"schema": dict(answer.schema), "example": answer.example}},
        }
    members = {**answer.schema, "success": {"const": "true"}}
    schema = {
        "type": "object",
        "required": ["response"],
        "properties": {"response": {"type": "object", "required": list(members), "properties": members}},
    }
    made: dict[str, Any] = {"description": answer.doc, "content": {"application/json": {"schema": schema}}}
    if answer.example:
        made["content"]["application/json"]["example"] = {"response": {**answer.example, "success": "true"}}
    return made | (_retry_header() if status == 202 else {})  # noqa: PLR2004


def _failure(status: int, dialect: Dialect | None = None) -> dict[str, Any]:
    content: dict[str, Any] = {
        "schema": {"$ref": "#/components/schemas/Problem"},
        "example": {"response": {"success": "false", **_EXAMPLES[status]}},
    }
    if dialect is not None:
        content = {"schema": dict(dialect.problem), "example": dialect.example(status, _EXAMPLES[status]["message"])}
    made = {"description": MEANING[status], "content": {"application/json": content}}
    return made | (_retry_header() if status in _RETRIES else {})


def _retry_header() -> dict[str, Any]:
    return {"headers": {"Retry-After": {"description": "Seconds", "schema": {"type": "integer"}}}}


def _open_operation(route: OpenRoute) -> dict[str, Any]:
    answers = {"200": {"description": route.summary, "content": {route.content_type: {}}}}
    if route.unready:
        answers["503"] = {"description": "Not now; `parts` names what is missing", "content": {"application/json": {}}}
    return {
        "summary": route.summary,
        "operationId": _operation_id("get", route.path.removeprefix("/")),
        "tags": ["operation"],
        "security": [],
        "responses": answers,
    }
