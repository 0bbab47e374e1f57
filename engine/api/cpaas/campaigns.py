"""Campaigns, their CDRs and their statistics, as the cpaas document has them."""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from aiohttp import web

from engine.api.cpaas.cdr_view import EXAMPLE as CDR_EXAMPLE
from engine.api.cpaas.cdr_view import SCHEMA as CDR_SCHEMA
from engine.api.cpaas.cdr_view import http_date, record_view
from engine.api.cpaas.lists import DND_LIST_ID, LIST_ID
from engine.api.encoding import dumps
from engine.api.endpoint import success
from engine.api.fields import IDENTIFIER, PHONE, Bad, Field, Kind, Schema, enum, scalar, whole
from engine.api.route import Answer, Ask, Route
from engine.calls.record import CallRecord
from engine.commands import campaigns
from engine.commands.campaigns import CreateCampaign
from engine.dialer.campaigns import STATES, Campaign
from engine.dialer.port import RETRYABLE
from engine.errors import InvalidFields
from engine.media.tts.words import ENGINE_TYPES, PITCHES, RATES, VOLUMES

PAGE = 1000
"""CDRs read at once; an answer of more is sent as it is read."""
FASTEST = 60_000
"""Calls per minute."""
_LONGEST_TEXT = 3000
_FORMAT = "%Y-%m-%d %H:%M:%S"
_WORDS = {"NOANSER": "NOANSWER"}
"""The document's own misspelling."""


def _wall(value: Any) -> datetime:
    text = scalar(value).strip()
    try:
        wall = datetime.strptime(text, _FORMAT)  # noqa: DTZ007 - its zone is another field
    except ValueError:
        raise Bad("must be YYYY-MM-DD hh:mm:ss") from None
    if len(text) != len("2023-09-25 14:05:00"):
        raise Bad("must be YYYY-MM-DD hh:mm:ss")
    return wall


def _zone(value: Any) -> ZoneInfo:
    text = scalar(value).strip() or "UTC"
    try:
        return ZoneInfo(text)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise Bad("is not a time zone, such as Asia/Kolkata or US/Eastern") from None


def _text(value: Any) -> str:
    text = scalar(value).strip()
    if len(text) > _LONGEST_TEXT:
        raise Bad(f"must be at most {_LONGEST_TEXT} characters")
    return text


def _optional_id(value: Any) -> str:
    text: str = scalar(value).strip()
    return text and IDENTIFIER.parse(text)


def _statuses(value: Any) -> tuple[str, ...]:
    given = value if isinstance(value, list) else scalar(value).split(",")
    words = ["".join(scalar(each).split()).upper() for each in given]
    found = dict.fromkeys(_WORDS.get(word, word) for word in words if word)
    if wrong := [word for word in found if word not in RETRYABLE]:
        raise Bad(f"knows {', '.join(RETRYABLE)}, and not {wrong[0][:32]}")
    return tuple(found)


def _flag(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    word = scalar(value).strip().lower()
    if word not in ("true", "false", "1", "0"):
        raise Bad("must be true or false")
    return word in ("true", "1")


def _schedule(value: Any) -> dict[str, list[str]]:
    """Days and windows are judged by the command."""
    if isinstance(value, str):
        try:
            value = json.loads(value) if value.strip() else {}
        except (ValueError, RecursionError):
            value = None
    if not isinstance(value, dict) or not all(_windows(spans) for spans in value.values()):
        raise Bad('must be like {"mon": ["09:00-17:00"]}')
    return {str(day): list(spans) for day, spans in value.items()}


def _windows(spans: Any) -> bool:
    return isinstance(spans, list) and all(isinstance(each, str) for each in spans)


def _announcing(value: Any) -> bool | None:
    word = scalar(value).strip()
    if word not in ("0", "1", ""):
        raise Bad("must be one of 0, 1")
    return {"0": False, "1": True}.get(word)


WALL = Kind(_wall, {"type": "string", "pattern": r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d$"})
ZONE = Kind(_zone, {"type": "string"})
TEXT = Kind(_text, {"type": "string", "maxLength": _LONGEST_TEXT})
OPTIONAL_ID = Kind(_optional_id, {"type": ["string", "integer"]})
STATUSES = Kind(
    _statuses,
    {"type": ["string", "array"], "items": {"type": "string", "enum": list(RETRYABLE)}},
)
FLAG = Kind(_flag, {"type": ["boolean", "string"]})
SCHEDULE = Kind(_schedule, {"type": "object", "additionalProperties": {"type": "array", "items": {"type": "string"}}})
SECONDS = whole(0, 7 * 86_400)
RETRIES = whole(0, 100)
REPEATS = whole(1, 20)


def _one_of(words: Any) -> Kind:
    """Judged by text to speech, whose errors are in the document's words."""
    return Kind(lambda value: scalar(value).strip(), {"type": "string", "enum": list(words)})


def _optional(name: str, kind: Kind, doc: str, example: Any, default: Any = None) -> Field:
    return Field(name, kind, doc, example, required=False, default=default)


CALLER_ID = Field("campaign_caller_id", PHONE, "Shown to contacts; one of the account's", "15168148111")
PER_MINUTE = Field("calls_per_minute", whole(1, FASTEST), "Spread evenly over the minute", "10")
CREATE = Schema(
    "Campaign",
    LIST_ID,
    _optional("dnd_list_id", OPTIONAL_ID, f"{DND_LIST_ID.doc}; may be left out", "DNd2b09f8f80", ""),
    Field("campaign_name", IDENTIFIER, "Unique in the account", "test_broadcast_campaign"),
    Field("campaign_type", enum(("0", "1"), {"0": 0, "1": 1}), "0: announcement; 1: then `connect_to`", "0"),
    CALLER_ID,
    _optional("dynamic_announcement", Kind(_announcing, {"type": "string", "enum": ["0", "1"]}), "0: recorded_filename; 1: announcement_text", "1"),
    _optional("recorded_filename", TEXT, "A sound of the media library, or an object of the account", "", ""),
    _optional("announcement_text", TEXT, "`{field}` is a contact's field; `,,` a pause", "Dear {field1}", ""),
    Field("campaign_start_date", WALL, "By the clocks of time_zone; past: now", "2026-12-01 09:00:00"),
    Field("campaign_end_date", WALL, "By the clocks of time_zone", "2026-12-02 20:00:00"),
    _optional("time_zone", ZONE, "Of both dates", "Asia/Kolkata", ZoneInfo("UTC")),
    _optional("repeat", REPEATS, "How often the announcement is heard", "2"),
    _optional("repeat_count", REPEATS, "Another name of `repeat`", "2"),
    _optional("max_retries", RETRIES, "Tries after the first", "1"),
    _optional("retry_attempts", RETRIES, "Another name of `max_retries`", "1"),
    _optional("retry_time", SECONDS, "Seconds from a try's end to the next", "60", 300),
    _optional("retry_on_statuses", STATUSES, "After which another try is made", "NOANSWER,BUSY", ("NOANSWER", "BUSY")),
    PER_MINUTE,
    _optional("voice", TEXT, "Default Joanna, or the first voice of the language", "Matthew", ""),
    _optional("volume", _one_of(VOLUMES), "Volume", "soft", "medium"),
    _optional("rate", _one_of(RATES), "Speed", "slow", "medium"),
    _optional("pitch", _one_of(PITCHES), "Pitch", "medium", "medium"),
    _optional("language_code", TEXT, "A voice wins over it", "en-US", ""),
    _optional("tts_engine_type", _one_of(ENGINE_TYPES), "Kind of voice", "standard", "standard"),
    _optional("connect_to", TEXT, "Type 1: `ivr:NAME`, `mailbox:N`, `sip:…`, an extension or `group:NAME`; else the account's default", "ivr:welcome", ""),
    _optional("schedule", SCHEDULE, "Windows of the week in which contacts are called", {"mon": ["09:00-17:00"]}),
    _optional("callee_zone", FLAG, "The schedule is meant by the clocks where the number is", True, False),
    _optional("max_per_number_24h", whole(1, 1000), "Tries of one number in 24 hours", 2),
    _optional("max_per_number_7d", whole(1, 1000), "Tries of one number in 7 days", 5),
    _optional("max_concurrent", whole(1, 10_000), "Calls at once", 20),
    _optional("missing_fields", enum(campaigns.MISSING), "A contact lacks a variable of the text: refuse the campaign, skip the contact, or say nothing there", "refuse", "refuse"),
    _optional("safe_harbour_text", TEXT, "Said when nobody is free within two seconds (`connect_to` an extension or group)", "Please excuse this call", ""),
    _optional("abandonment_percent", whole(0, 100), "Live answers in 100 that may be abandoned; else the account's limit", 3),
)  # fmt: skip
CAMPAIGN_ID = Field("campaign_id", IDENTIFIER, "As create_campaign answered it", "CM7b1b0f4c2f")
ONE = Schema("CampaignId", CAMPAIGN_ID)


async def create(ask: Ask) -> Mapping[str, Any]:
    command = CreateCampaign(**_named_once(ask.fields))
    return {"campaign_id": await campaigns.create(ask.ctx, ask.identity, command, await ask.key())}


def _named_once(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Where the document has two names for one thing, either will do; both must say the same."""
    values, wrong = dict(fields), {}
    for name, other, default in (("repeat", "repeat_count", 1), ("max_retries", "retry_attempts", 0)):
        second = values.pop(other)
        if None not in (values[name], second) and values[name] != second:
            wrong[other] = f"is another name of {name}, and says otherwise"
        values[name] = next((each for each in (values[name], second) if each is not None), default)
    if wrong:
        raise InvalidFields(wrong)
    values["schedule"] = values["schedule"] or {}
    return values


async def stop(ask: Ask) -> Mapping[str, Any]:
    await campaigns.stop(ask.ctx, ask.name, ask.fields["campaign_id"])
    return {"message": " campaign stopped successfully"}


async def details(ask: Ask) -> Mapping[str, Any]:
    found = await ask.ctx.campaigns.all(ask.name)
    message = "campaign found" if found else "campaign not found"
    return {"message": message, "result": [_details(each) for each in found]}


def _details(campaign: Campaign) -> dict[str, str]:
    return {
        "calls_per_minute": str(campaign.calls_per_minute),
        "campaign_caller_id": campaign.caller_id,
        "campaign_end_date": http_date(campaign.ends_at),
        "campaign_id": campaign.id,
        "campaign_name": campaign.name,
        "campaign_start_date": http_date(campaign.starts_at),
        "campaign_status": str(STATES.index(campaign.state)),
        "campaign_type": str(campaign.type),
        "max_retries": str(campaign.max_retries),
        "repeat_announcement_count": str(campaign.announcement["repeat"]),
        "retry_time": str(campaign.retry_seconds),
    }


async def cdrs(ask: Ask) -> web.StreamResponse:
    campaign = await campaigns.show(ask.ctx, ask.name, ask.fields["campaign_id"])
    page = await ask.ctx.campaigns.records(campaign.id, after=0, limit=PAGE)
    if not page:
        return success({"message": "cdr not found", "result": []})
    if len(page) < PAGE:
        return success({"message": "cdr found", "result": [record_view(record) for record in page]})
    answer = web.StreamResponse(headers={"Content-Type": "application/json; charset=utf-8"})
    await answer.prepare(ask.http)
    await answer.write(b'{"response":{"message":"cdr found","result":[' + _rows(page))
    while page := await ask.ctx.campaigns.records(campaign.id, after=page[-1].id, limit=PAGE):
        await answer.write(b"," + _rows(page))
    await answer.write_eof(b'],"success":"true"}}')
    return answer


def _rows(page: list[CallRecord]) -> bytes:
    return dumps([record_view(record) for record in page]).removeprefix(b"[").removesuffix(b"]")


_COUNTERS = {
    "answer_calls": "ANSWER",
    "busy_calls": "BUSY",
    "cancel_calls": "CANCEL",
    "chanunavail_calls": "CHANUNAVAIL",
    "congestion_calls": "CONGESTION",
    "dnd_calls": "DND",
    "noanswer_calls": "NOANSWER",
}


def _counted(statuses: Mapping[str, int], *, dnd: bool) -> Mapping[str, Any]:
    counters = {name: [statuses.get(status, 0)] for name, status in _COUNTERS.items() if dnd or status != "DND"}
    return {"result": {**counters, "total_calls": [sum(statuses.values())]}}


async def statistics(ask: Ask) -> Mapping[str, Any]:
    return _counted(await ask.ctx.campaigns.record_counts(ask.name), dnd=False)


async def campaign_statistics(ask: Ask) -> Mapping[str, Any]:
    campaign = await campaigns.show(ask.ctx, ask.name, ask.fields["campaign_id"])
    return _counted((await ask.ctx.campaigns.counts(campaign)).statuses, dnd=True)


_TEXT = {"type": "string"}
_DETAILS_EXAMPLE = {
    "calls_per_minute": "10",
    "campaign_caller_id": "15168148111",
    "campaign_end_date": "Wed, 12 Jul 2023 20:00:00 GMT",
    "campaign_id": "CMf32a68bc63",
    "campaign_name": "test_broadcast_campaign_max",
    "campaign_start_date": "Tue, 11 Jul 2023 09:00:00 GMT",
    "campaign_status": "3",
    "campaign_type": "0",
    "max_retries": "1",
    "repeat_announcement_count": "3",
    "retry_time": "60",
}
_DETAILS = {
    "type": "object",
    "properties": {
        **dict.fromkeys(_DETAILS_EXAMPLE, _TEXT),
        "campaign_status": {**_TEXT, "enum": ["0", "1", "2", "3", "4"], "description": ", ".join(STATES)},
    },
}
_COUNTER = {"type": "array", "items": {"type": "integer"}, "minItems": 1, "maxItems": 1}
_STOPPED = {
    200: Answer("Nothing of it is dialled any more", {"message": _TEXT}, {"message": " campaign stopped successfully"})
}


def _statistics(*, dnd: bool) -> Mapping[int, Answer]:
    names = [name for name in (*_COUNTERS, "total_calls") if dnd or name != "dnd_calls"]
    schema = {"type": "object", "properties": dict.fromkeys(names, _COUNTER)}
    example = {"result": {name: [9 if name == "total_calls" else 0] for name in names}}
    return {
        200: Answer("Each number in an array of its own; total_calls counts every CDR", {"result": schema}, example)
    }


def _stop(path: str) -> Route:
    return Route(
        "POST",
        path,
        "Stop a campaign: nobody is dialled any more, who is being rung is let go",
        stop,
        scope="campaign",
        body=ONE,
        errors=(404, 409, 503),
        answers=_STOPPED,
    )


ROUTES = (
    Route(
        "POST",
        "/api/create_campaign",
        "Make a campaign; it begins at its start, by itself",
        create,
        scope="campaign",
        body=CREATE,
        creates=True,
        errors=(404, 409, 503),
        answers={
            200: Answer(
                "The new campaign",
                {"campaign_id": {"type": "string", "pattern": "^CM[0-9a-f]{10}$"}},
                {"campaign_id": "CMcc0cb33a01"},
            )
        },
    ),
    _stop("/api/stop_campaign"),
    _stop("/stop_campaign"),
    Route(
        "GET",
        "/api/get_campaign_details",
        "All campaigns of the account",
        details,
        scope="read",
        errors=(503,),
        answers={
            200: Answer(
                'In the order in which they were made; none: "campaign not found" and []',
                {"message": _TEXT, "result": {"type": "array", "items": _DETAILS}},
                {"message": "campaign found", "result": [_DETAILS_EXAMPLE]},
            )
        },
    ),
    Route(
        "POST",
        "/api/get_cdr_by_campaign_id",
        "CDRs of one campaign: a row for each try, and for each contact on the do-not-dial list",
        cdrs,
        scope="read",
        body=ONE,
        errors=(404, 503),
        answers={
            200: Answer(
                'Ascending; none: "cdr not found" and []',
                {"message": _TEXT, "result": {"type": "array", "items": CDR_SCHEMA}},
                {
                    "message": "cdr found",
                    "result": [
                        {
                            **CDR_EXAMPLE,
                            "agent_number": "",
                            "call_direction": "outbound-campaign",
                            "customer_number": "",
                            "destination_context": "local_call_campaign_type_0",
                            "is_dnd": "0",
                            "list_id": "LS50f6ec70b7",
                            "request_id": "",
                        }
                    ],
                },
            )
        },
    ),
    Route(
        "GET",
        "/api/get_cdr_statistics",
        "How many CDRs the account has, by dial status",
        statistics,
        scope="read",
        errors=(503,),
        answers=_statistics(dnd=False),
    ),
    Route(
        "POST",
        "/api/get_campaign_cdr_statistics",
        "How many CDRs a campaign has, by dial status",
        campaign_statistics,
        scope="read",
        body=ONE,
        errors=(404, 503),
        answers=_statistics(dnd=True),
    ),
)
