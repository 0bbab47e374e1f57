"""/api/campaigns: how far a campaign is, and what else can be done to it. /api/campaign_lists: lists deleted."""

import csv
import io
from collections.abc import Iterable, Mapping
from typing import Any

from aiohttp import web

from engine.api.cpaas.campaigns import FASTEST
from engine.api.fields import IDENTIFIER, Field, Schema, whole
from engine.api.route import Answer, Ask, Route
from engine.api.views import iso
from engine.commands import campaigns
from engine.commands.campaigns import Progress
from engine.commands.preview import Preview, preview
from engine.dialer.campaigns import STATES
from engine.dialer.campaigns import Answer as LedgerLine
from engine.errors import InvalidFields

CAMPAIGN = Field("campaign_id", IDENTIFIER, "As create_campaign answered it", "CMcc0cb33a01")
LIST = Field("list_id", IDENTIFIER, "Of contacts, or do-not-dial", "LSdb6a12e1f1")
CHANGES = Schema(
    "CampaignPace",
    Field("calls_per_minute", whole(1, FASTEST), "The new pace, at once", 60, required=False),
    Field("max_concurrent", whole(1, 10_000), "Calls at once", 20, required=False),
)
_LINES = 1000


async def show(ask: Ask) -> Mapping[str, Any]:
    return await _progress(ask)


async def pause(ask: Ask) -> Mapping[str, Any]:
    await campaigns.pause(ask.ctx, ask.name, ask.path("campaign_id"))
    return await _progress(ask)


async def resume(ask: Ask) -> Mapping[str, Any]:
    await campaigns.resume(ask.ctx, ask.name, ask.path("campaign_id"))
    return await _progress(ask)


async def change(ask: Ask) -> Mapping[str, Any]:
    per_minute, concurrent = ask.fields["calls_per_minute"], ask.fields["max_concurrent"]
    if per_minute is None and concurrent is None:
        raise InvalidFields({"calls_per_minute": "or max_concurrent is required"})
    campaign_id = ask.path("campaign_id")
    await campaigns.pace(ask.ctx, ask.name, campaign_id, per_minute=per_minute, concurrent=concurrent)
    return await _progress(ask)


async def delete(ask: Ask) -> Mapping[str, Any]:
    campaign_id = ask.path("campaign_id")
    await campaigns.delete(ask.ctx, ask.name, campaign_id)
    return {"campaign_id": campaign_id, "message": "campaign deleted successfully"}


async def delete_list(ask: Ask) -> Mapping[str, Any]:
    list_id = ask.path("list_id")
    await campaigns.delete_list(ask.ctx, ask.name, list_id)
    return {"list_id": list_id, "message": "list deleted successfully"}


async def _progress(ask: Ask) -> Mapping[str, Any]:
    return {"campaign": progress_view(await campaigns.progress(ask.ctx, ask.name, ask.path("campaign_id")))}


def progress_view(found: Progress) -> dict[str, Any]:
    campaign, counts = found.campaign, found.counts
    view: dict[str, Any] = {
        "campaign_id": campaign.id,
        "campaign_name": campaign.name,
        "campaign_type": campaign.type,
        "status": campaign.state,
        "campaign_status": str(STATES.index(campaign.state)),
        "reason": campaign.reason,
        "list_id": campaign.list_id,
        "dnd_list_id": campaign.dnd_list_id,
        "connect_to": campaign.connect_to or None,
        "calls_per_minute": campaign.calls_per_minute,
        "max_concurrent": campaign.max_concurrent,
        "total": found.total,
        "done": found.done,
        "answered": counts.results.get("ANSWER", 0),
        "under_way": counts.under_way,
        "calls": sum(n for status, n in counts.statuses.items() if status != "DND"),
        "reasons": dict(counts.results),
        "keys": dict(counts.keys),
        "starts_at": iso(campaign.starts_at),
        "ends_at": iso(campaign.ends_at),
        "started_at": iso(campaign.started_at),
        "ended_at": iso(campaign.ended_at),
        "estimated_end": iso(found.ends_at),
    }
    if campaign.people:
        view["abandonment"] = {
            "live_answers": counts.answers,
            "abandoned": counts.abandoned,
            "percent": round(100 * counts.abandoned / counts.answers, 3) if counts.answers else 0.0,
            "limit": campaign.abandon_percent,
        }
    return view


async def previewed(ask: Ask) -> Mapping[str, Any]:
    found = await preview(ask.ctx, ask.account, ask.path("campaign_id"))
    return {"preview": preview_view(found)}


def preview_view(found: Preview) -> dict[str, Any]:
    return {
        "campaign_id": found.campaign_id,
        "contacts": found.contacts,
        "callable": found.callable,
        "not_callable": dict(found.reasons),
        "when": [{"from": iso(at), "contacts": n} for at, n in sorted(found.opening.items())],
        "minutes": found.minutes,
        "fits": found.fits,
    }


async def ledger(ask: Ask) -> web.StreamResponse:
    """Every live answer, as a table that stands up before an authority."""
    campaign = await campaigns.show(ask.ctx, ask.name, ask.path("campaign_id"))
    answer = web.StreamResponse(
        headers={
            "Content-Type": "text/csv; charset=utf-8",
            "Content-Disposition": f'attachment; filename="{campaign.id}-abandonment.csv"',
        }
    )
    await answer.prepare(ask.http)
    await answer.write(_table([LEDGER_HEAD]))
    after = None
    while lines := await ask.ctx.campaigns.answers(campaign.id, after=after, limit=_LINES):
        await answer.write(_table(ledger_line(campaign.id, line) for line in lines))
        after = (lines[-1].answered_at, lines[-1].request_id)
    await answer.write_eof()
    return answer


LEDGER_HEAD = ("campaign_id", "request_id", "number", "answered_at", "announcement_ended_at", "connected_at", "ended_at", "seconds_to_connect", "outcome")  # fmt: skip


def ledger_line(campaign_id: str, line: LedgerLine) -> tuple[object, ...]:
    waited = None
    if line.connected_at and line.waiting_at:
        waited = round((line.connected_at - line.waiting_at).total_seconds(), 3)
    times = (line.answered_at, line.waiting_at, line.connected_at, line.ended_at)
    return (campaign_id, line.request_id, line.number, *map(iso, times), waited, line.outcome)


def _table(rows: Iterable[Iterable[object]]) -> bytes:
    text = io.StringIO()
    csv.writer(text).writerows([["" if cell is None else cell for cell in row] for row in rows])
    return text.getvalue().encode()


_COUNT = {"type": "integer"}
_TEXT = {"type": "string"}
_TIME_OR_NULL = {"type": ["string", "null"], "format": "date-time"}
_COUNTS = {"type": "object", "additionalProperties": _COUNT}
_SCHEMA: Mapping[str, Any] = {
    "type": "object",
    "properties": {
        "campaign_id": _TEXT,
        "campaign_name": _TEXT,
        "campaign_type": _COUNT,
        "status": {"type": "string", "enum": list(STATES)},
        "campaign_status": {"type": "string", "enum": ["0", "1", "2", "3", "4"]},
        "reason": {"type": ["string", "null"], "description": "`abandonment`: it was paused by the limit"},
        "list_id": _TEXT,
        "dnd_list_id": {"type": ["string", "null"]},
        "connect_to": {"type": ["string", "null"]},
        "calls_per_minute": _COUNT,
        "max_concurrent": {"type": ["integer", "null"]},
        "total": {**_COUNT, "description": "Contacts"},
        "done": {**_COUNT, "description": "Contacts with which nothing more will be done"},
        "answered": {**_COUNT, "description": "Contacts that answered"},
        "under_way": {**_COUNT, "description": "Calls now"},
        "calls": {**_COUNT, "description": "Tries so far that have ended"},
        "reasons": {
            **_COUNTS,
            "description": "Contacts that are done, by dial status of the last try, or DND EXPIRED CANCELLED REFUSED SKIPPED",
        },
        "keys": {**_COUNTS, "description": "How often each key was pressed"},
        "starts_at": _TIME_OR_NULL,
        "ends_at": _TIME_OR_NULL,
        "started_at": _TIME_OR_NULL,
        "ended_at": _TIME_OR_NULL,
        "estimated_end": _TIME_OR_NULL,
        "abandonment": {"type": "object", "description": "Of campaigns that connect to people: the last 30 days"},
    },
}
_SEEN = "2026-11-22T09:00:00.000Z"
_EXAMPLE: Mapping[str, Any] = {
    "campaign_id": "CMcc0cb33a01",
    "campaign_name": "test_broadcast_campaign",
    "campaign_type": 0,
    "status": "running",
    "campaign_status": "1",
    "reason": None,
    "list_id": "LS608c393614",
    "dnd_list_id": None,
    "connect_to": None,
    "calls_per_minute": 10,
    "max_concurrent": None,
    "total": 100,
    "done": 40,
    "answered": 31,
    "under_way": 2,
    "calls": 47,
    "reasons": {"ANSWER": 31, "BUSY": 5, "DND": 4},
    "keys": {"1": 12},
    "starts_at": _SEEN,
    "ends_at": _SEEN,
    "started_at": _SEEN,
    "ended_at": None,
    "estimated_end": _SEEN,
}
_SHOWN = {200: Answer("How far it is", {"campaign": _SCHEMA}, {"campaign": _EXAMPLE})}
_PATH = "/api/campaigns/{campaign_id}"


def _route(method: str, path: str, summary: str, handler: Any, answers: Mapping[int, Answer], **more: Any) -> Route:
    scope = "read" if method == "GET" else "campaign"
    errors = (404, 503) if method == "GET" else (404, 409, 503)
    return Route(
        method, path, summary, handler, scope=scope, parameters=(CAMPAIGN,), errors=errors, answers=answers, **more
    )  # fmt: skip


ROUTES = (
    _route("GET", _PATH, "How far a campaign is", show, _SHOWN),
    _route("POST", f"{_PATH}/pause", "Dial nobody until it is resumed; calls under way go on", pause, _SHOWN),
    _route("POST", f"{_PATH}/resume", "Go on", resume, _SHOWN),
    _route("PATCH", _PATH, "Change the pace, at once", change, _SHOWN, body=CHANGES),
    _route(
        "DELETE",
        _PATH,
        "Delete a campaign that does not run; its CDRs stay",
        delete,
        {
            200: Answer(
                "It is gone",
                {"campaign_id": _TEXT, "message": _TEXT},
                {"campaign_id": "CMcc0cb33a01", "message": "campaign deleted successfully"},
            )
        },
    ),
    _route(
        "GET",
        f"{_PATH}/preview",
        "How many contacts can be called when, and why others can't",
        previewed,
        {
            200: Answer(
                "As the list is now",
                {
                    "preview": {
                        "type": "object",
                        "properties": {
                            "campaign_id": _TEXT,
                            "contacts": _COUNT,
                            "callable": _COUNT,
                            "not_callable": {**_COUNTS, "description": "Contacts by reason"},
                            "when": {"type": "array", "items": {"type": "object"}},
                            "minutes": {
                                "type": "number",
                                "description": "That the pace takes for those who can be called",
                            },
                            "fits": {
                                "type": "boolean",
                                "description": "Whether that is over before the campaign's end",
                            },
                        },
                    }
                },
                {
                    "preview": {
                        "campaign_id": "CMcc0cb33a01",
                        "contacts": 100,
                        "callable": 95,
                        "not_callable": {"dnd": 4, "emergency": 1},
                        "when": [{"from": _SEEN, "contacts": 95}],
                        "minutes": 9.5,
                        "fits": True,
                    }
                },
            )
        },
    ),
    _route(
        "GET",
        f"{_PATH}/abandonment.csv",
        "The abandonment ledger: every live answer of a campaign that connects to people",
        ledger,
        {200: Answer(", ".join(LEDGER_HEAD), content_type="text/csv")},
    ),
    Route(
        "DELETE",
        "/api/campaign_lists/{list_id}",
        "Delete a list of contacts or a do-not-dial list that no campaign needs",
        delete_list,
        scope="campaign",
        parameters=(LIST,),
        errors=(404, 409, 503),
        answers={
            200: Answer(
                "It is gone",
                {"list_id": _TEXT, "message": _TEXT},
                {"list_id": "LSdb6a12e1f1", "message": "list deleted successfully"},
            )
        },
    ),
)
