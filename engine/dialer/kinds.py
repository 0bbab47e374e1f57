"""Kinds of due calls: what each adds to the one mechanism.

A new kind is a class with these methods and a line in ``engine/app/engine.py``.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from engine.dialer.port import Due


@dataclass(frozen=True, slots=True)
class Order:
    """Dial it: the flow and its params (JSON values). ``caller_id`` is asked of the gate with the due call's number."""

    flow: str
    params: Mapping[str, Any] = field(default_factory=dict)
    caller_id: str = ""


@dataclass(frozen=True, slots=True)
class Skip:
    """Don't dial it, ever: ``result`` as in ``engine.dialer.port`` (DND, REFUSED …)."""

    result: str


@dataclass(frozen=True, slots=True)
class Later:
    """Don't dial it now."""

    until: datetime


class Kind(Protocol):
    async def order(self, due: Due) -> Order | Skip | Later:
        """Asked at the instant of dialling, after windows and caps let it pass, before anything is committed. Short: a
        query by key, no more. Raising StoreError gives the claim back."""

    async def ahead(self, due: Due) -> None:
        """Told when a due call is claimed, up to a second or so before its instant: render what will be said."""

    async def skipped(self, due: Due, result: str) -> None:
        """Told after a due call was ended without being dialled."""

    async def feed(self, lane: str) -> None:
        """Put the next few hundred due calls of the lane into ``due_calls`` in one transaction, and set
        ``due_lanes.fed`` with the last. Several engines may ask at once."""

    async def drained(self, lane: str) -> None:
        """Nothing of the lane is left to do, or its end has come. Must close the lane (``open`` false) when that is so;
        asked again until it is."""


class Plain:
    """What most kinds need not do."""

    async def ahead(self, due: Due) -> None: ...

    async def skipped(self, due: Due, result: str) -> None: ...

    async def feed(self, lane: str) -> None: ...

    async def drained(self, lane: str) -> None: ...
