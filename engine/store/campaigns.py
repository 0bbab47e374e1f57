"""Campaigns, their counters, their ledger."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import fields
from datetime import UTC, datetime
from typing import Any

from engine.calls.record import CallRecord
from engine.dialer.campaigns import Answer, Campaign, Counts, Listed, NewCampaign
from engine.store import rows
from engine.store.pool import Database
from engine.store.queries import query

STOPPED = "campaign_stop:"
"""How what the listener hears begins when a campaign was stopped; its id follows."""
_FIRST = 500
"""Contacts of the first feeding, in the transaction that makes the campaign."""
_SCAN = 60.0
"""Seconds that looking through a list may take."""
_COLUMNS = tuple(item.name for item in fields(Campaign))
_ANSWER = tuple(item.name for item in fields(Answer))


class PgCampaigns:
    """Implements ``engine.dialer.campaigns.Campaigns``."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, campaign: NewCampaign) -> bool:
        c = campaign
        values = (c.id, c.account, c.name, c.type, c.list_id, c.dnd_list_id, c.caller_id, json.dumps(dict(c.announcement)),
                  list(c.variables), c.missing, c.connect_to, c.people, c.abandon_percent, c.starts_at, c.ends_at, c.time_zone,
                  c.calls_per_minute, c.max_concurrent, c.max_retries, c.retry_seconds, list(c.retry_on),
                  json.dumps(dict(c.rules)))  # fmt: skip
        async with self._database.transaction() as connection:
            if await connection.fetchval(query("add_campaign"), *values) is None:
                return False
            if c.starts_at <= datetime.now(UTC):
                await connection.fetchval(query("feed_campaign"), c.id, _FIRST)
            await connection.fetchval(query("tell_dialers"))
        return True

    async def all(self, account: str | None) -> list[Campaign]:
        return [_known(row) for row in await self._database.fetch("campaigns_of", account)]

    async def get(self, account: str | None, campaign_id: str) -> Campaign | None:
        row = await self._database.fetchrow("campaign", account, campaign_id)
        return _known(row) if row else None

    async def counts(self, campaign: Campaign) -> Counts:
        told: dict[str, dict[str, int]] = {"status": {}, "result": {}, "key": {}, "under_way": {}}
        for row in await self._database.fetch("campaign_counts", campaign.id, campaign.account):
            told[row["kind"]][row["name"]] = row["n"]
        rate = await self._database.fetchrow("campaign_rate", campaign.id) if campaign.people else None
        ledger = {"answers": rate["answers"], "abandoned": rate["abandoned"]} if rate else {}
        return Counts(told["status"], told["result"], told["key"], told["under_way"][""], **ledger)

    async def lacking(self, account: str, list_id: str, variables: Sequence[str]) -> tuple[int, Sequence[str]]:
        async with self._database.acquire() as connection:
            row = await connection.fetchrow(query("contacts_lacking"), list_id, account, list(variables), timeout=_SCAN)
        return (row["n"], row["numbers"] or ()) if row else (0, ())

    async def stop(self, account: str | None, campaign_id: str) -> str | None:
        return await self._change("stop_campaign", account, campaign_id)

    async def pause(self, account: str | None, campaign_id: str) -> str | None:
        return await self._change("pause_campaign", account, campaign_id)

    async def resume(self, account: str | None, campaign_id: str) -> str | None:
        return await self._change("resume_campaign", account, campaign_id)

    async def pace(
        self, account: str | None, campaign_id: str, *, per_minute: int | None, concurrent: int | None
    ) -> str | None:
        return await self._change("pace_campaign", account, campaign_id, per_minute, concurrent)

    async def delete(self, account: str | None, campaign_id: str) -> str | None:
        return await self._change("delete_campaign", account, campaign_id)

    async def delete_list(self, account: str, list_id: str) -> str | None:
        return await self._change("delete_list", account, list_id)

    async def _change(self, name: str, *args: Any) -> str | None:
        outcome: str | None = await self._database.fetchval(name, *args)
        return outcome

    async def contacts(self, campaign: Campaign, *, after: int, limit: int) -> list[Listed]:
        found = await self._database.fetch("contacts_page", campaign.list, campaign.dnd_list, after, limit)
        return [Listed(row["id"], row["number"], json.loads(row["fields"]), row["dnd"]) for row in found]

    async def answers(self, campaign_id: str, *, after: tuple[datetime, str] | None, limit: int) -> list[Answer]:
        since, last = after or (datetime(1970, 1, 1, tzinfo=UTC), "")
        found = await self._database.fetch("campaign_answers", campaign_id, since, last, limit)
        return [Answer(**{name: row[name] for name in _ANSWER}) for row in found]

    async def records(self, campaign_id: str, *, after: int, limit: int) -> list[CallRecord]:
        found = await self._database.fetch("cdr_by_campaign", campaign_id, after, limit)
        return [rows.call_record(row) for row in found]

    async def record_counts(self, account: str) -> Mapping[str, int]:
        return {row["dial_status"]: row["n"] for row in await self._database.fetch("cdr_counts", account)}

    async def to_dial(self, campaign_id: str) -> Campaign | None:
        row = await self._database.fetchrow("campaign_to_dial", campaign_id)
        return _campaign(row) if row else None

    async def unwanted(self, campaign: Campaign, number: str) -> bool:
        if campaign.dnd_list is None:
            return False
        return bool(await self._database.fetchval("on_dnd_list", campaign.dnd_list, number))

    async def feed(self, campaign_id: str, most: int) -> int:
        fed: int = await self._database.fetchval("feed_campaign", campaign_id, most)
        return fed

    async def drained(self, campaign_id: str) -> bool:
        return bool(await self._database.fetchval("campaign_drained", campaign_id))


def _known(row: rows.Row) -> Campaign:
    """One that has not begun has as many contacts as its list has now."""
    return _campaign({**row, "total": row["contacts"] if row["total"] is None else row["total"]})


def _campaign(row: rows.Row) -> Campaign:
    values = {name: row[name] for name in _COLUMNS}
    return Campaign(**{**values, "announcement": json.loads(row["announcement"]), "rules": json.loads(row["rules"])})
