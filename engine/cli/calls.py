"""``trunkline calls``: what runs and what was, told to people; a stored call replayed; a live one ended."""

import argparse
import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from engine.api.views import call_view, event_view
from engine.calls.events import Event
from engine.calls.model import Call, replay
from engine.calls.record import CallRecord
from engine.calls.states import CallState
from engine.cli import database, live_control
from engine.cli.options import add_config
from engine.cli.output import add_json, as_json, table
from engine.commands.replay import differences
from engine.errors import NotFound, StateConflict, Unavailable
from engine.ids import is_request_id
from engine.store.calls import PgCalls
from engine.store.due import PgDue
from engine.store.operators import Operators
from engine.store.pool import Database

if TYPE_CHECKING:
    from engine.cli import Subparsers

_ENDS_WITHIN, _LOOK = 10.0, 0.1
"""Seconds ``hangup`` waits for the call's end, and between looks."""


def register(subparsers: "Subparsers") -> None:
    parser = subparsers.add_parser("calls", description="Calls of all accounts, as the database has them.")
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    listed = actions.add_parser("list", help="calls, newest first")
    listed.add_argument("--state", choices=("live", "scheduled", "ended"), default="live")
    listed.add_argument("--account", help="of this account alone")
    listed.add_argument("--limit", type=int, default=50, metavar="N")
    _finish(listed, _list)
    _one(actions.add_parser("show", help="a call's timeline, legs and CDRs"), _show)
    _one(actions.add_parser("replay", help="does the timeline lead to what is stored? Exit code 1 if not"), _replay)
    ended = actions.add_parser("hangup", help="have the engine that has the call end it, or one party")
    ended.add_argument("--leg", default="", help="role or id of a leg: that party alone")
    _one(ended, _hangup)
    live_control.register(actions)


def _one(parser: argparse.ArgumentParser, work: Any) -> None:
    parser.add_argument("request_id", metavar="REQUEST_ID")
    _finish(parser, work)


def _finish(parser: argparse.ArgumentParser, work: Any) -> None:
    add_config(parser)
    add_json(parser)
    parser.set_defaults(run=lambda arguments: database.run(work, arguments))


async def _events(store: Database, request_id: str) -> list[Event]:
    found = await PgCalls(store).events(request_id) if is_request_id(request_id) else None
    if not found:
        raise NotFound(f"no call has the request id {request_id}")
    return found


async def _records(store: Database, call: Call) -> list[CallRecord]:
    return await PgCalls(store).cdr_by_request(call.account, call.request_id) or []


# -- list --------------------------------------------------------------------------------------------------------


async def _list(arguments: argparse.Namespace, store: Database) -> int:
    calls = PgCalls(store)
    ids = await calls.listed(arguments.account, states=(arguments.state,), limit=arguments.limit, before=None)
    timelines = await calls.timelines(ids)
    shown = [replay(timelines[request_id]) for request_id in ids if request_id in timelines]
    if arguments.json:
        as_json([call_view(call) for call in shown])
    else:
        table(
            ("request id", "account", "flow", "state", "step", "created", "end", "parties"),
            [
                (c.request_id, c.account, c.flow, c.state, c.step, _clock(c.created_at), c.end_reason, _parties(c))
                for c in shown
            ],
        )
    return 0


def _parties(call: Call) -> str:
    return " ".join(f"{leg.role}:{leg.number}" for leg in call.legs.values())


def _clock(at: datetime) -> str:
    return at.strftime("%Y-%m-%d %H:%M:%S")


# -- show --------------------------------------------------------------------------------------------------------


async def _show(arguments: argparse.Namespace, store: Database) -> int:
    events = await _events(store, arguments.request_id)
    call = replay(events)
    records = await _records(store, call)
    if arguments.json:
        timeline = [event_view(call.request_id, event) for event in events]
        as_json({"call": call_view(call), "events": timeline, "cdr": [asdict(record) for record in records]})
    else:
        _print_call(call)
        _print_timeline(call, events)
        _print_legs(call)
        _print_records(records)
    return 0


def _print_call(call: Call) -> None:
    print(f"{call.request_id}  {call.flow}  {call.direction}  {call.account}  {call.state}", end="")
    print(f" ({call.end_reason}{', reconciled' if call.reconciled else ''})" if call.end_reason else "")
    for name, value in call.params.items():
        print(f"  {name}: {value}")


def _print_timeline(call: Call, events: Sequence[Event]) -> None:
    print(f"\ntimeline (seconds from {call.created_at.isoformat(timespec='milliseconds')})")
    for event in events:
        after = (event.at - call.created_at).total_seconds()
        leg = call.legs.get(event.leg) if event.leg is not None else None
        print(f"  {after:+9.3f}  {event.kind:<18} {leg.role if leg else '':<9} {_details(event)}".rstrip())


_ALREADY_SHOWN = frozenset({"request_id", "account", "flow", "direction", "params", "leg_id", "role"})


def _details(event: Event) -> str:
    told = {name: value for name, value in event.data.items() if name not in _ALREADY_SHOWN and value is not None}
    return " ".join(f"{name}={value}" for name, value in told.items())


def _print_legs(call: Call) -> None:
    if not call.legs:
        return
    print()
    heads = ("leg", "role", "number", "state", "ringing", "answered", "ended", "sip", "q850", "by", "channel")
    rows = [
        (
            leg.n,
            leg.role,
            leg.number,
            leg.state,
            *(_after(call, at) for at in (leg.ringing_at, leg.answered_at, leg.ended_at)),
            leg.sip_code,
            leg.q850,
            leg.hangup_by,
            leg.channel or leg.channel_id,
        )
        for leg in call.legs.values()
    ]
    table(heads, rows)


def _after(call: Call, at: datetime | None) -> str | None:
    return f"{(at - call.created_at).total_seconds():+.3f}" if at else None


def _print_records(records: Sequence[CallRecord]) -> None:
    for record in records:
        print(f"\nCDR {record.id}")
        for name, value in asdict(record).items():
            if value not in (None, "", False) and name != "id":
                print(f"  {name}: {value}")


# -- replay ------------------------------------------------------------------------------------------------------


async def _replay(arguments: argparse.Namespace, store: Database) -> int:
    events = await _events(store, arguments.request_id)
    operators = Operators(store)
    row = await operators.call_row(arguments.request_id)
    assert row is not None
    legs = await operators.leg_rows(arguments.request_id)
    records = await PgCalls(store).cdr_by_request(row["account"], arguments.request_id) or []
    found = differences(events, row, legs, records)
    _tell(arguments, events, row, found)
    return 1 if found else 0


def _tell(arguments: argparse.Namespace, events: Sequence[Event], row: Mapping[str, Any], found: Sequence[str]) -> None:
    if arguments.json:
        as_json({"request_id": arguments.request_id, "events": len(events), "same": not found, "differences": found})
    elif found:
        print(f"{arguments.request_id}: {len(events)} events lead elsewhere than what is stored:")
        print("\n".join(f"  {line}" for line in found))
    else:
        end = row["end_reason"] or "not ended"
        print(f"{arguments.request_id}: {len(events)} events lead to what is stored ({row['state']}, {end})")


# -- hangup ------------------------------------------------------------------------------------------------------


async def _hangup(arguments: argparse.Namespace, store: Database) -> int:
    request_id, operators = arguments.request_id, Operators(store)
    call = replay(await _events(store, request_id))
    if call.ended_at is not None:
        raise StateConflict(f"call {request_id} has ended already")
    if arguments.leg:
        return await live_control.order(arguments, store, "hangup", {})
    scheduled = call.state is CallState.SCHEDULED
    due = PgDue(store, "")
    if not scheduled or await due.cancel(call.account, request_id, at=datetime.now(UTC)) is not None:
        await operators.ask_hangup(request_id)
    reason = await _end_of(operators, request_id)
    if arguments.json:
        as_json({"request_id": request_id, "end_reason": reason})
    else:
        print(f"{request_id}: ended ({reason})")
    return 0


async def _end_of(operators: Operators, request_id: str) -> str:
    """The call's end reason, when it is written. Raises Unavailable."""
    try:
        async with asyncio.timeout(_ENDS_WITHIN):
            while True:
                row = await operators.call_row(request_id)
                if row is not None and row["state"] == "ended":
                    return str(row["end_reason"])
                await asyncio.sleep(_LOOK)
    except TimeoutError:
        raise Unavailable(
            f"call {request_id} has not ended within {_ENDS_WITHIN:g} s; is its engine running?"
        ) from None
