"""What an operator does to accounts: create, list, rotate, disable, caller ids, limits, scopes."""

import json
import re
from collections.abc import Sequence
from dataclasses import fields, replace
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import asyncpg

from engine.calls.account import SCOPES, Account, Limits
from engine.errors import InvalidFields, NotFound
from engine.store import rows
from engine.store.accounts import digest, new_auth
from engine.store.pool import Database
from engine.store.queries import query

_NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}", re.ASCII)
_COUNTRY = re.compile(r"[1-9]\d{0,2}", re.ASCII)
_CALLER_ID = re.compile(r"\d{3,15}", re.ASCII)
_LEAST = {"concurrent_calls": 0, "agent_ring": 1, "destination_ring": 1, "max_duration": 1, "requests_per_minute": 0,
          "abandonment_percent": 0, "park_comeback": 0}  # fmt: skip


class AccountAdministration:
    """Each change is told to every engine by PostgreSQL's own notification."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def create(
        self,
        account: str,
        *,
        country: str,
        number: int | None = None,
        time_zone: str = "UTC",
        caller_ids: Sequence[str] = (),
        scopes: Sequence[str] = SCOPES,
    ) -> str:
        """The new account's auth, which is shown this once and kept nowhere. Raises Duplicate, InvalidFields."""
        _check(account, country, number, time_zone)
        _check_caller_ids(caller_ids)
        _check_scopes(scopes)
        auth = new_auth()
        async with self._database.transaction() as connection:
            await connection.execute(query("create_account"), account, number, country, time_zone)
            await connection.execute(query("add_credential"), account, digest(auth), list(scopes))
            await connection.execute(query("add_caller_ids"), account, list(caller_ids))
        return auth

    async def list(self) -> list[Account]:
        return [rows.account(row) for row in await self._database.fetch("accounts")]

    async def get(self, account: str) -> Account:
        row = await self._database.fetchrow("account", account)
        if row is None:
            raise NotFound(f"no account {account}")
        return rows.account(row)

    async def rotate(self, account: str, *, scopes: Sequence[str] = SCOPES, keep: bool = False) -> str:
        """A new auth with ``scopes``; the old ones stop at once, or stay valid beside it with ``keep``."""
        _check_scopes(scopes)
        auth = new_auth()
        async with self._database.transaction() as connection:
            await _lock(connection, account)
            if not keep:
                await connection.execute(query("revoke_credentials"), account)
            await connection.execute(query("add_credential"), account, digest(auth), list(scopes))
        return auth

    async def set_scopes(self, account: str, scopes: Sequence[str]) -> None:
        """Of every valid credential of the account."""
        _check_scopes(scopes)
        if await self._database.fetchval("set_scopes", account, list(scopes)) is None:
            raise NotFound(f"no account {account} with a valid credential")

    async def enable(self, account: str, *, enabled: bool = True) -> None:
        if await self._database.fetchval("enable_account", account, enabled) is None:
            raise NotFound(f"no account {account}")

    async def disable(self, account: str) -> None:
        await self.enable(account, enabled=False)

    async def add_caller_ids(self, account: str, numbers: Sequence[str]) -> None:
        _check_caller_ids(numbers)
        async with self._database.transaction() as connection:
            await _lock(connection, account)
            await connection.execute(query("add_caller_ids"), account, list(numbers))

    async def remove_caller_ids(self, account: str, numbers: Sequence[str]) -> None:
        async with self._database.transaction() as connection:
            await _lock(connection, account)
            await connection.execute(query("remove_caller_ids"), account, list(numbers))

    async def set_limits(self, account: str, **changes: Any) -> Limits:
        """Change those limits that are named (fields of ``Limits``); all of them as they are now.

        Raises InvalidFields for an unknown name or a value of another type or below the least.
        """
        changes = _checked_limits(changes)
        async with self._database.transaction() as connection:
            settings = await _lock(connection, account)
            limits = replace(rows.limits(json.loads(settings)), **changes)
            await connection.execute(query("set_settings"), account, json.dumps(rows.settings_of(limits)))
        return limits


async def _lock(connection: asyncpg.Connection, account: str) -> str:
    """Hold the account's row until the end of the transaction; its settings. Raises NotFound."""
    settings = await connection.fetchval(query("lock_account"), account)
    if settings is None:
        raise NotFound(f"no account {account}")
    return str(settings)


def _check(account: str, country: str, number: int | None, time_zone: str) -> None:
    wrong = {}
    if not _NAME.fullmatch(account):
        wrong["account"] = "must be 1 to 64 letters, digits, dots, dashes or underscores"
    if not _COUNTRY.fullmatch(country):
        wrong["country"] = "must be a calling code of 1 to 3 digits, such as 91"
    if number is not None and number <= 0:
        wrong["number"] = "must be positive"
    try:
        ZoneInfo(time_zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        wrong["time_zone"] = "is not a time zone, such as Europe/Paris"
    if wrong:
        raise InvalidFields(wrong)


def _check_caller_ids(numbers: Sequence[str]) -> None:
    if wrong := [number for number in numbers if not _CALLER_ID.fullmatch(number)]:
        raise InvalidFields({"caller_ids": f"must be 3 to 15 digits, without +: {', '.join(wrong)}"})


def _check_scopes(scopes: Sequence[str]) -> None:
    if not scopes or not set(scopes) <= set(SCOPES):
        raise InvalidFields({"scopes": f"must be some of {', '.join(SCOPES)}"})


def _checked_limits(changes: dict[str, Any]) -> dict[str, Any]:
    kinds = {item.name: type(item.default) for item in fields(Limits)}
    wrong: dict[str, str] = {}
    right: dict[str, Any] = {}
    for name, value in changes.items():
        if kinds.get(name) is tuple and isinstance(value, list | tuple) and all(isinstance(v, str) for v in value):
            right[name] = tuple(value)
        elif name not in kinds:
            wrong[name] = f"is no limit; there are {', '.join(kinds)}"
        elif type(value) is not kinds[name] or (type(value) is int and value < _LEAST[name]):
            wrong[name] = f"must be {_wanted(kinds[name], _LEAST.get(name, 0))}"
        else:
            right[name] = value
    if wrong:
        raise InvalidFields(wrong)
    return right


def _wanted(kind: type, least: int) -> str:
    told = {int: f"a whole number, at least {least}", bool: "true or false", str: "a word"}
    return told.get(kind, "a list of words")
