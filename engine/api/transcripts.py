"""GET /api/transcripts/{request_id}: what was said, by whom and when."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from engine.api.calls import REQUEST_ID
from engine.api.endpoint import success
from engine.api.route import Answer, Ask, Route
from engine.api.views import iso
from engine.commands import transcripts
from engine.media.stt.port import Transcript

SOON = "2"
"""Seconds advised while it is being made."""


async def get(ask: Ask) -> Any:
    request_id = ask.path("request_id")
    found = await transcripts.show(ask.ctx, ask.name, request_id)
    shown = view(found) if found else {"request_id": request_id, "status": "pending"}
    if shown["status"] in ("pending", "running"):
        answer = {"message": "the transcript is not ready yet", "transcript": shown}
        return success(answer, status=202, headers={"Retry-After": SOON})
    return {"transcript": shown}


def view(row: Transcript) -> Mapping[str, Any]:
    return {
        "request_id": row.request_id,
        "status": row.state,
        "engine": row.recogniser,
        "language": row.language,
        "duration": row.duration,
        "text": row.text,
        "segments": [asdict(segment) for segment in row.segments],
        "error": row.error,
        "created_at": iso(row.created_at),
        "finished_at": iso(row.finished_at),
    }


_SECONDS = {"type": "number", "description": "Seconds from the begin of the recording"}
_SCHEMA: Mapping[str, Any] = {
    "type": "object",
    "properties": {
        "request_id": {"type": "string"},
        "status": {"type": "string", "enum": ["pending", "running", "ready", "failed"]},
        "engine": {"type": ["string", "null"]},
        "language": {"type": ["string", "null"]},
        "duration": {"type": ["number", "null"], "description": "Seconds that were recorded"},
        "text": {"type": ["string", "null"], "description": "A line for each segment"},
        "segments": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "speaker": {"type": "string", "enum": ["agent", "customer"]},
                    "start": _SECONDS,
                    "end": _SECONDS,
                    "text": {"type": "string"},
                    "confidence": {"type": ["number", "null"], "minimum": 0, "maximum": 1},
                },
            },
        },
        "error": {"type": ["string", "null"], "description": "Why it failed"},
        "created_at": {"type": "string", "format": "date-time"},
        "finished_at": {"type": ["string", "null"], "format": "date-time"},
    },
}
_EXAMPLE: Mapping[str, Any] = {
    "request_id": "57362de4f0",
    "status": "ready",
    "engine": "pocketsphinx",
    "language": "en-US",
    "duration": 6.2,
    "text": "agent: good morning\ncustomer: who is there",
    "segments": [
        {"speaker": "agent", "start": 0.4, "end": 1.2, "text": "good morning", "confidence": 0.71},
        {"speaker": "customer", "start": 1.9, "end": 2.8, "text": "who is there", "confidence": 0.64},
    ],
    "error": None,
    "created_at": "2026-11-22T00:20:52.123Z",
    "finished_at": "2026-11-22T00:20:58.004Z",
}
_WAITING = {"request_id": "57362de4f0", "status": "pending"}

ROUTES = (
    Route(
        "GET",
        "/api/transcripts/{request_id}",
        "What was said in a call whose request had `transcript` on",
        get,
        scope="read",
        parameters=(REQUEST_ID,),
        errors=(404, 503),
        answers={
            200: Answer("It is ready, or has failed", {"transcript": _SCHEMA}, {"transcript": _EXAMPLE}),
            202: Answer(
                "Not ready yet; ask again after `Retry-After` seconds",
                {"message": {"type": "string"}, "transcript": _SCHEMA},
                {"message": "the transcript is not ready yet", "transcript": _WAITING},
            ),
        },
    ),
)
