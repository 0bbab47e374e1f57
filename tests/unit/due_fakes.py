"""Due calls in memory, behind the HTTP API."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from engine.dialer.port import Due, NewDue, account_lane
from engine.errors import Duplicate


class FakeDue:
    """Implements ``engine.dialer.port.DueCalls``."""

    def __init__(self) -> None:
        self.rows: dict[int, Due] = {}
        self.codes: set[tuple[str, str, int]] = set()

    async def add(self, *calls: NewDue) -> list[Due]:
        codes = {(each.account, each.code, each.code_item) for each in calls if each.code}
        if codes & self.codes:
            raise Duplicate("a code twice", constraint="due_calls_code")
        self.codes |= codes
        return [self.rows[self._add(each)] for each in calls]

    def _add(self, new: NewDue) -> int:
        due_id = len(self.rows) + 1
        self.rows[due_id] = Due(
            id=due_id, lane=new.lane or account_lane(new.account), kind=new.kind, account=new.account, number=new.number,
            params=new.params, state="due", due_at=new.due_at, expires_at=new.expires_at, attempt=0,
            max_attempts=new.max_attempts, retry_seconds=new.retry_seconds, retry_on=new.retry_on,
            request_id=new.request_id, result=None, outcome=None, created_at=datetime.now(UTC), ended_at=None, code=new.code,
            code_item=new.code_item,
        )  # fmt: skip
        return due_id

    async def get(self, account: str, due_id: int) -> Due | None:
        row = self.rows.get(due_id)
        return row if row and row.account == account else None

    async def by_request(self, account: str, request_id: str) -> Due | None:
        return next((row for row in self.rows.values() if (row.account, row.request_id) == (account, request_id)), None)

    async def by_codes(self, account: str, codes: Sequence[str]) -> list[Due]:
        return [row for row in self.rows.values() if row.account == account and row.code in codes]

    async def change(
        self, account: str, request_id: str, *, params: Mapping[str, Any], number: str, due_at: datetime
    ) -> str | None:
        row = await self.by_request(account, request_id)
        if row is None or row.state in ("placed", "done"):
            return row.state if row else "unknown"
        self.rows[row.id] = replace(row, params=params, number=number, due_at=due_at)
        return None

    async def cancel(self, account: str, which: str | int, *, at: datetime) -> str | None:
        row = await (self.by_request(account, which) if isinstance(which, str) else self.get(account, which))
        if row is None or row.state in ("placed", "done"):
            return row.state if row else "unknown"
        self.rows[row.id] = replace(row, state="done", result="CANCELLED", ended_at=at)
        return None
