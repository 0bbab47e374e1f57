"""Due calls: added, changed, claimed, placed and ended."""

import json
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import asyncpg

from engine.calls.events import Event, Kind
from engine.dialer import pace, scheduled, windows
from engine.dialer.lanes import BATCH, Lane, Serving, Want, lane_of
from engine.dialer.port import Claimed, Claims, Due, NewDue, Placed, Rules, account_lane
from engine.store import rows
from engine.store.entry import encode
from engine.store.pool import Database
from engine.store.port import CallEvent, JournalRecord, NewCall
from engine.store.queries import query
from engine.store.writer import arrays

LOW = 200
"""Due calls of a lane under which its feeder is asked for more."""
LONGEST = 1.0
"""Seconds until lanes are looked at again, whatever was heard."""
_COLUMNS = tuple(Due.__dataclass_fields__)


class PgDue:
    """Implements ``engine.dialer.port.DueCalls`` and ``Dialing``. ``engine``: in whose name scheduled calls are kept."""

    def __init__(self, database: Database, engine: str) -> None:
        self._database = database
        self._engine = engine

    # -- DueCalls ----------------------------------------------------------------------------------------------------

    async def add(self, *calls: NewDue) -> list[Due]:
        async with self._database.transaction() as connection:
            now: datetime = await connection.fetchval("SELECT now()")
            found = await connection.fetch(query("due_add"), json.dumps([_columns(each) for each in calls]))
            standing = [self._scheduled(each, now) for each in calls if each.request_id]
            if standing:
                events = [CallEvent(call.request_id, scheduled.created(call)) for call in standing]
                await _write(connection, *standing, *events)
                ids = [row["id"] for row in found if row["request_id"]]
                await connection.execute(query("due_stand"), ids, [call.request_id for call in standing])
            for lane, account in sorted({(_lane(each), each.account) for each in calls}):
                first = min(each.due_at for each in calls if _lane(each) == lane)
                await connection.execute(query("due_lane"), lane, account, first)
            await connection.execute(query("due_told"))
        return [_due(row) for row in found]

    def _scheduled(self, due: NewDue, now: datetime) -> NewCall:
        assert due.request_id is not None
        return NewCall(
            request_id=due.request_id,
            account=due.account,
            flow=due.flow,
            direction="outbound",
            engine=self._engine,
            created_at=now,
            params=due.params,
            scheduled_at=due.due_at,
        )

    async def get(self, account: str, due_id: int) -> Due | None:
        row = await self._database.fetchrow("due_get", account, due_id)
        return _due(row) if row else None

    async def by_request(self, account: str, request_id: str) -> Due | None:
        row = await self._database.fetchrow("due_by_request", account, request_id)
        return _due(row) if row else None

    async def by_codes(self, account: str, codes: Sequence[str]) -> list[Due]:
        return [_due(row) for row in await self._database.fetch("due_by_codes", account, list(codes))]

    async def change(
        self, account: str, request_id: str, *, params: Mapping[str, Any], number: str, due_at: datetime
    ) -> str | None:
        async with self._database.transaction() as connection:
            row = await connection.fetchrow(query("due_of_request_locked"), account, request_id)
            if row is None or row["state"] in ("placed", "done") or row["attempt"]:
                return row["state"] if row else "unknown"
            now = await connection.fetchval("SELECT now()")
            event = scheduled.changed(await _timeline(connection, request_id), params, due_at, now)
            await connection.execute(query("due_change"), row["id"], json.dumps(dict(params)), number, due_at)
            await connection.execute(query("due_call_params"), request_id, json.dumps(dict(params)), due_at)
            await _write(connection, CallEvent(request_id, event))
            await connection.execute(query("due_lane"), row["lane"], account, due_at)
            await connection.execute(query("due_told"))
        return None

    async def cancel(self, account: str, which: str | int, *, at: datetime) -> str | None:
        locked = "due_of_request_locked" if isinstance(which, str) else "due_locked"
        async with self._database.transaction() as connection:
            row = await connection.fetchrow(query(locked), account, which)
            if row is None or row["state"] in ("placed", "done"):
                return row["state"] if row else "unknown"
            await connection.execute(query("due_cancel"), row["id"], at)
            if row["request_id"] and not row["attempt"]:
                timeline = await _timeline(connection, row["request_id"])
                await _write(connection, *scheduled.ended(timeline, "cancelled", at))
        return None

    # -- Dialing -----------------------------------------------------------------------------------------------------

    async def alive(self, engine: str, lease: float) -> int:
        await self._database.fetchval("due_alive", engine, lease)
        async with self._by_index() as connection:
            await connection.execute(query("due_given_back"), None, [])
            return int(await connection.fetchval(query("due_engines")))

    async def restart(self, engine: str, keep: Sequence[int] = ()) -> int:
        async with self._by_index() as connection:
            return int(await connection.fetchval(query("due_given_back"), engine, list(keep)))

    @asynccontextmanager
    async def _by_index(self) -> AsyncIterator[asyncpg.Connection]:
        """A transaction whose queries go by index, whatever the planner knows of the table."""
        async with self._database.transaction() as connection:
            await connection.execute(query("due_by_index"))
            yield connection

    async def claim(self, engine: str, *, room: int, full: Sequence[str], concurrent: int) -> Claims:
        async with self._by_index() as connection:
            found = await connection.fetch(query("due_lanes_ready"), pace.AHEAD, concurrent)
            began = time.monotonic()
            if not found:
                again = await connection.fetchval(query("due_next_wake"))
                return Claims((), (), (), _seconds(again))
            claims = await self._serve(connection, engine, [lane_of(row) for row in found], room, full)
        return _since(claims, time.monotonic() - began)

    async def _serve(
        self, connection: asyncpg.Connection, engine: str, lanes: Sequence[Lane], room: int, full: Sequence[str]
    ) -> Claims:
        names, accounts = [lane.name for lane in lanes], [lane.account for lane in lanes]
        flying = {row["lane"]: row for row in await connection.fetch(query("due_flying"), names, accounts)}
        serving = Serving(engine, room, frozenset(full))
        wanted = [serving.want(lane, flying[lane.name]["of_lane"], flying[lane.name]["of_account"]) for lane in lanes]
        counts = [len(want.instants) for want in wanted]
        untils = [want.until for want in wanted]
        found = await connection.fetch(query("due_take"), names, counts, untils, engine) if any(counts) else []
        now = lanes[0].now
        taken = {want.lane.name: await self._open(connection, want, found) for want in wanted}
        soon = now + timedelta(seconds=60)
        left = {row["lane"]: row for row in await connection.fetch(query("due_left"), names, soon, LOW, accounts)}
        claimed: list[Claimed] = []
        for want in wanted:
            mine = taken[want.lane.name]
            claimed += _claimed(mine, want.instants, want.lane.rules, now)
            want.took(len(mine), left[want.lane.name])
        await connection.execute(
            query("due_lanes_served"),
            names,
            [want.next_at for want in wanted],
            [engine if want.taken else None for want in wanted],
            [want.wake_at for want in wanted],
        )
        return Claims(
            calls=claimed,
            hungry=[w.lane.name for w in wanted if not w.lane.fed and not w.over and left[w.lane.name]["left"] < LOW],
            drained=[w.lane.name for w in wanted if w.drained],
            again=min(LONGEST, *(want.again for want in wanted)),
        )

    async def _open(
        self, connection: asyncpg.Connection, want: Want, taken: Sequence[asyncpg.Record]
    ) -> list[asyncpg.Record]:
        """Those of the lane, in their order, but for numbers that may not be called at this hour: they are put off, with
        such as follow them, so that they use up neither instants nor turns."""
        lane = want.lane
        mine = sorted((row for row in taken if row["lane"] == lane.name), key=lambda row: (row["due_at"], row["id"]))
        if not (lane.rules.callee_zone and lane.rules.schedule):
            return mine
        closed = windows.closed_until(lane.rules, {row["id"]: row["number"] for row in mine}, lane.now)
        if closed:
            rows = await connection.fetch(query("due_following"), lane.name, want.until, BATCH)
            following = windows.closed_until(lane.rules, {row["id"]: row["number"] for row in rows}, lane.now)
            put_off = closed | following
            await connection.execute(query("due_put_off"), list(put_off), list(put_off.values()))
        return [row for row in mine if row["id"] not in closed]

    async def place(self, engine: str, claimed: Claimed, call: NewCall, server: str) -> Placed:
        async with self._database.transaction() as connection:
            row = await connection.fetchrow(query("due_mine"), claimed.due.id, engine, claimed.claim)
            if row is None:
                again = await connection.fetchval(query("due_placed_before"), claimed.due.id, call.request_id, engine)
                return Placed(await _timeline(connection, call.request_id) if again else ())
            if row["request_id"] == call.request_id and not row["attempt"]:
                timeline = await _timeline(connection, call.request_id)
                event = scheduled.placed(timeline, call.params, server, call.created_at)
                await _write(connection, CallEvent(call.request_id, event))
                timeline = [*timeline, event]
            else:
                timeline = [_created(call, server)]
                await _write(connection, call, CallEvent(call.request_id, timeline[0]))
            await connection.execute(query("due_placed"), claimed.due.id, call.request_id, engine)
        return Placed(timeline)

    async def postpone(self, engine: str, claimed: Claimed, until: datetime | None) -> None:
        await self._database.fetchval("due_postpone", claimed.due.id, engine, claimed.claim, until)

    async def skip(self, engine: str, claimed: Claimed, result: str, *, at: datetime) -> bool:
        async with self._database.transaction() as connection:
            row = await connection.fetchrow(query("due_skip"), claimed.due.id, engine, claimed.claim, result, at)
            if row is None:
                return False
            if row["request_id"] and not row["attempt"]:
                timeline = await _timeline(connection, row["request_id"])
                await _write(connection, *scheduled.ended(timeline, _REASONS.get(result, "cancelled"), at))
            if row["campaign_id"]:
                await connection.execute(query("due_drained_wake"), row["lane"], row["account"])
        return True

    async def tries(self, account: str, number: str) -> tuple[Sequence[datetime], datetime]:
        async with self._database.acquire() as connection:
            found = await connection.fetch(query("due_tries_of"), account, number)
            return [row["at"] for row in found], await connection.fetchval("SELECT clock_timestamp()")

    async def lost(self, older: float) -> int:
        await self._database.fetchval("due_forget_dialers")
        await self._database.fetchval("due_forget_tries")
        async with self._by_index() as connection:
            return len(await connection.fetch(query("due_lost"), older))

    async def forget(self, days: int, most: int) -> int:
        async with self._by_index() as connection:
            return int(await connection.fetchval(query("due_forget_ended"), days, most))


_REASONS = {"DND": "dnd", "EXPIRED": "timeout", "REFUSED": "gate"}
"""Result of what was not dialled → end reason of the scheduled call that stood for it."""


def _lane(due: NewDue) -> str:
    return due.lane or account_lane(due.account)


def _columns(due: NewDue) -> dict[str, Any]:
    values = {name: getattr(due, name) for name in NewDue.__dataclass_fields__ if name != "flow"}
    return values | {
        "lane": _lane(due),
        "params": dict(due.params),
        "due_at": due.due_at.isoformat(),
        "expires_at": due.expires_at.isoformat() if due.expires_at else None,
        "retry_on": list(due.retry_on),
    }


def _created(call: NewCall, server: str) -> Event:
    data = {
        "request_id": call.request_id,
        "account": call.account,
        "flow": call.flow,
        "direction": call.direction,
        "params": dict(call.params),
        "campaign_id": call.campaign_id,
        "server": server,
    }
    return Event(Kind.CALL_CREATED, call.created_at, None, data, seq=1)


async def _write(connection: asyncpg.Connection, *records: JournalRecord) -> None:
    """As the journal writes it, within this transaction."""
    await connection.fetchval(query("journal_write"), *arrays([encode(each) for each in records]))


async def _timeline(connection: asyncpg.Connection, request_id: str) -> list[Event]:
    return [rows.event(row) for row in await connection.fetch(query("events_of"), [request_id])]


def _claimed(
    found: Sequence[asyncpg.Record], instants: Sequence[datetime], rules: Rules, now: datetime
) -> list[Claimed]:
    return [
        Claimed(_due(row), row["claim"], (max(instant, row["due_at"]) - now).total_seconds(), rules)
        for row, instant in zip(found, instants, strict=False)
    ]


def _due(row: asyncpg.Record) -> Due:
    values = {name: row[name] for name in _COLUMNS}
    values["params"] = json.loads(row["params"])
    values["outcome"] = json.loads(row["outcome"]) if row["outcome"] else None
    values["retry_on"] = tuple(row["retry_on"])
    return Due(**values)


def _since(claims: Claims, elapsed: float) -> Claims:
    """Seconds count from the answer, and not from the question."""
    calls = [replace(each, after=each.after - elapsed) for each in claims.calls]
    return replace(claims, calls=calls, again=max(claims.again - elapsed, 0.02))


def _seconds(again: float | None) -> float:
    """Until a lane is to be looked at that is not yet."""
    return LONGEST if again is None else min(max(again - pace.AHEAD, 0.02), LONGEST)
