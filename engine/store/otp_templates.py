"""Templates of announcements."""

from collections.abc import Mapping, Sequence
from typing import Any

from engine.errors import StateConflict
from engine.store.pool import Database
from engine.store.port import OtpTemplate
from engine.store.rows import Row

MOST = 500
"""Templates of one account."""


class PgOtpTemplates:
    """Implements ``engine.store.port.OtpTemplates``."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(
        self, template_id: str, account: str, *, name: str, text: str, language: str, otp_type: str
    ) -> OtpTemplate:
        row = await self._database.fetchrow(
            "add_otp_template", template_id, account, name, text, language, otp_type, MOST
        )
        if row is None:
            raise StateConflict(f"the account has {MOST} templates, which is as many as it may")
        return _template(row)

    async def seed(self, templates: Sequence[Mapping[str, Any]]) -> None:
        for each in templates:
            await self._database.fetchval("seed_otp_template", each["id"], each["account"], each["name"], each["text"])

    async def page(self, account: str | None, *, limit: int, after: str | None) -> list[OtpTemplate]:
        return [_template(row) for row in await self._database.fetch("otp_templates_of", account, after, limit)]

    async def get(self, account: str | None, template_id: str) -> OtpTemplate | None:
        return _given(await self._database.fetchrow("otp_template", template_id, account))

    async def change(
        self,
        account: str,
        template_id: str,
        *,
        name: str | None = None,
        text: str | None = None,
        language: str | None = None,
        otp_type: str | None = None,
    ) -> OtpTemplate | None:
        return _given(
            await self._database.fetchrow("change_otp_template", template_id, account, name, text, language, otp_type)
        )

    async def approve(self, template_id: str, *, approved: bool) -> OtpTemplate | None:
        return _given(await self._database.fetchrow("approve_otp_template", template_id, approved))

    async def remove(self, account: str | None, template_id: str) -> bool:
        return await self._database.fetchval("remove_otp_template", template_id, account) is not None


def _given(row: Row | None) -> OtpTemplate | None:
    return _template(row) if row else None


def _template(row: Row) -> OtpTemplate:
    return OtpTemplate(**{name: row[name] for name in OtpTemplate.__dataclass_fields__})
