"""Templates of announcements without a database."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from engine.store.port import OtpTemplate

T0 = datetime(2026, 3, 1, 12, 0, 0, 123456, UTC)


class FakeOtpTemplates:
    """Implements OtpTemplates."""

    def __init__(self) -> None:
        self.kept: dict[str, OtpTemplate] = {}

    async def add(self, template_id: str, account: str, **fields: str) -> OtpTemplate:
        made: Any = {"state": "draft", "created_at": T0, "updated_at": T0, **fields}
        self.kept[template_id] = OtpTemplate(id=template_id, account=account, **made)
        return self.kept[template_id]

    async def page(self, account: str | None, *, limit: int, after: str | None) -> list[OtpTemplate]:
        mine = [each for key, each in sorted(self.kept.items()) if account in (None, each.account)]
        return [each for each in mine if after is None or each.id > after][:limit]

    async def get(self, account: str | None, template_id: str) -> OtpTemplate | None:
        found = self.kept.get(template_id)
        return found if found and account in (None, found.account) else None

    async def change(self, account: str, template_id: str, **fields: str | None) -> OtpTemplate | None:
        found = await self.get(account, template_id)
        if found is None:
            return None
        changes: Any = {name: value for name, value in fields.items() if value is not None}
        spoken = any(
            changes.get(name, getattr(found, name)) != getattr(found, name) for name in ("text", "language", "otp_type")
        )
        if spoken:
            changes |= {"state": "draft", "approved_at": None}
        self.kept[template_id] = replace(found, **changes)
        return self.kept[template_id]

    def approve(self, template_id: str) -> None:
        self.kept[template_id] = replace(self.kept[template_id], state="approved", approved_at=T0)

    async def remove(self, account: str | None, template_id: str) -> bool:
        if await self.get(account, template_id) is None:
            return False
        del self.kept[template_id]
        return True
