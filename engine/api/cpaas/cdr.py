"""POST /api/get_cdr_by_request_id and /api/get_cdr_by_date."""

import asyncio
from collections.abc import Sequence

from aiohttp import web

from engine.api.cpaas.cdr_view import EXAMPLE, SCHEMA, record_view
from engine.api.encoding import dumps
from engine.api.endpoint import success
from engine.api.fields import DAY, IDENTIFIER, Field, Schema, whole
from engine.api.route import Answer, Ask, Route
from engine.calls.record import CallRecord
from engine.commands.calls import records_between, records_of
from engine.errors import InvalidFields

MAX_COUNT = 10_000
"""Rows of one answer; about 5 MB of JSON."""
AT_ONCE = 100
"""Rows written before the event loop gets its turn: about 1.5 ms."""
MAX_OFFSET = 10**9

BY_REQUEST = Schema(
    "CdrByRequestId", Field("request_id", IDENTIFIER, "As the call's creation answered it", "91da7c083f")
)
BY_DATE = Schema(
    "CdrByDate",
    Field("start_call_date", DAY, "First day, UTC, included", "2023-06-13"),
    Field("end_call_date", DAY, "Last day, UTC, included", "2023-06-17"),
    Field("record_count", whole(1, MAX_COUNT), "At most that many", "5", required=False, default=1000),
    Field("offset", whole(0, MAX_OFFSET), "Skips that many", "1", required=False, default=0),
)


async def by_request(ask: Ask) -> web.Response:
    return await _found(await records_of(ask.ctx, ask.name, ask.fields["request_id"]))


async def by_date(ask: Ask) -> web.Response:
    first, last = ask.fields["start_call_date"], ask.fields["end_call_date"]
    if last < first:
        raise InvalidFields({"end_call_date": "is before start_call_date"})
    count, offset = ask.fields["record_count"], ask.fields["offset"]
    return await _found(await records_between(ask.ctx, ask.name, first, last, count=count, offset=offset))


async def _found(records: Sequence[CallRecord]) -> web.Response:
    """Written piece by piece, so that a large answer does not keep the calls waiting."""
    if not records:
        return success({"message": "cdr not found", "result": []})
    pieces: list[bytes] = []
    for start in range(0, len(records), AT_ONCE):
        rows = [record_view(record) for record in records[start : start + AT_ONCE]]
        pieces.append(dumps(rows).removeprefix(b"[").removesuffix(b"]"))
        await asyncio.sleep(0)
    body = b'{"response":{"message":"cdr found","result":[%b],"success":"true"}}' % b",".join(pieces)
    return web.Response(body=body, content_type="application/json")


_ANSWERS = {
    200: Answer(
        'The CDRs, ascending; none: "cdr not found" and []',
        {
            "message": {"type": "string", "enum": ["cdr found", "cdr not found"]},
            "result": {"type": "array", "items": SCHEMA},
        },
        {"message": "cdr found", "result": [EXAMPLE]},
    )
}
ROUTES = (
    Route(
        "POST",
        "/api/get_cdr_by_request_id",
        "CDRs of one call; none while it runs",
        by_request,
        scope="read",
        body=BY_REQUEST,
        answers=_ANSWERS,
        errors=(404, 503),
    ),
    Route(
        "POST",
        "/api/get_cdr_by_date",
        "CDRs of calls that ended on these days",
        by_date,
        scope="read",
        body=BY_DATE,
        answers=_ANSWERS,
        errors=(503,),
    ),
)
