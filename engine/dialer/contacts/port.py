"""Lists of contacts, and what is asked of the engine's memory for them."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True, slots=True)
class ContactList:
    """``id``: ``LS`` (contacts) or ``DN`` (do not dial) and ten hex digits."""

    id: str
    account: str
    name: str
    contacts: int
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Contact:
    """``number``: digits. ``fields``: a JSON object as text, variable → value."""

    number: str
    name: str = ""
    fields: str = "{}"


class Lists(Protocol):
    """``do_not_dial`` tells one kind of list from the other. A list that is unknown, or another account's, is None.
    Everything raises StoreAway while PostgreSQL is."""

    async def create(self, list_id: str, account: str, name: str, *, do_not_dial: bool) -> None:
        """Raises Duplicate when the account has one of that name."""

    async def get(self, account: str, list_id: str, *, do_not_dial: bool) -> ContactList | None: ...

    async def add(self, account: str, list_id: str, contacts: Sequence[Contact], *, do_not_dial: bool) -> int | None:
        """How many of them were new; who is there already stays as it is."""

    async def load(self, account: str, list_id: str, pieces: AsyncIterator[bytes], *, do_not_dial: bool) -> int | None:
        """As ``add``, of any number: ``pieces`` are lines as PostgreSQL's COPY takes them (number, name and, for contacts,
        fields, with tabs between). All or none: raises what ``pieces`` raises."""
