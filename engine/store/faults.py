"""PostgreSQL's and asyncpg's errors, as ours: by class, never by text.

SQLSTATE classes are those of PostgreSQL's appendix A. Whatever may pass by itself (connection, shutdown, resources,
deadlock, time-out, a standby that is not yet primary) is StoreAway: the journal then keeps its records and comes again.
What will fail every time it is tried, because of the record itself, is RecordRefused.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import asyncpg

from engine.errors import Duplicate, StoreAway, StoreError


class RecordRefused(StoreError):
    """PostgreSQL will never take this: bad data or a constraint says no."""


class SchemaMismatch(StoreError):
    """A table, column or function is not there: the database is of another release. `trunkline migrate` mends it."""


_REFUSED = frozenset({"22", "23", "54", "P0", "XX"})
"""Data exception, integrity violation, a program limit (a value too large), raised by us, internal error."""


def translate(error: BaseException) -> StoreError:
    """Ours for a foreign ``error`` of one of FOREIGN."""
    if isinstance(error, asyncpg.UniqueViolationError):
        return Duplicate(str(error), constraint=error.constraint_name or "")
    text = f"{type(error).__name__}: {error}"
    if isinstance(error, asyncpg.PostgresError) and (error.sqlstate or "")[:2] in _REFUSED:
        return RecordRefused(text)
    if isinstance(error, asyncpg.SyntaxOrAccessError):
        return SchemaMismatch(text)
    return StoreAway(text)


FOREIGN = (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError, TimeoutError)
"""What asyncpg and the sockets under it raise. ``TimeoutError`` is an OSError too; it is named because it matters."""


@contextmanager
def mapped() -> Iterator[None]:
    """Errors of PostgreSQL inside come out as StoreAway, Duplicate, RecordRefused or SchemaMismatch."""
    try:
        yield
    except FOREIGN as error:
        raise translate(error) from error
