"""Migrations, queries and types agree with each other."""

import asyncio
import shutil
from dataclasses import fields
from pathlib import Path

import asyncpg
import pytest

from engine.calls.record import CallRecord
from engine.errors import ConfigError, StoreAway
from engine.resources import folder
from engine.store.faults import RecordRefused
from engine.store.migrate import migrate, migrations, pending
from engine.store.port import LegRow, RecordingRow
from engine.store.queries import load

SCHEMA = """
SELECT table_name || '.' || column_name || ' ' || data_type || ' ' || is_nullable FROM information_schema.columns
WHERE table_schema = 'public' ORDER BY 1
"""


async def schema(dsn: str) -> list[str]:
    connection = await asyncpg.connect(dsn)
    rows = await connection.fetch(SCHEMA)
    await connection.close()
    return [row[0] for row in rows]


async def test_each_file_is_applied_once_in_order(empty_dsn: str) -> None:
    names = [migration.name for migration in migrations()]
    assert await pending(empty_dsn) == names == sorted(names)
    assert await migrate(empty_dsn) == names
    before = await schema(empty_dsn)
    assert await migrate(empty_dsn) == []
    assert await pending(empty_dsn) == []
    assert await schema(empty_dsn) == before


async def test_two_engines_that_start_at_once_migrate_once(empty_dsn: str) -> None:
    applied = await asyncio.gather(*(migrate(empty_dsn) for _ in range(4)))
    assert sorted(map(len, applied)) == [0, 0, 0, len(migrations())]


async def test_a_changed_file_is_refused(empty_dsn: str, tmp_path: Path) -> None:
    source = tmp_path / "migrations"
    shutil.copytree(folder("sql") / "migrations", source)
    await migrate(empty_dsn, source=source)
    with (source / "0002_calls.sql").open("a") as file:
        file.write("\n-- an afterthought\n")
    with pytest.raises(ConfigError, match=r"0002_calls\.sql"):
        await migrate(empty_dsn, source=source)
    with pytest.raises(ConfigError, match=r"0002_calls\.sql"):
        await pending(empty_dsn, source=source)


async def test_a_file_that_fails_leaves_nothing_of_itself(empty_dsn: str, tmp_path: Path) -> None:
    (tmp_path / "0001_good.sql").write_text("CREATE TABLE good (a int);")
    (tmp_path / "0002_bad.sql").write_text("CREATE TABLE bad (a int); INSERT INTO bad SELECT 1 / 0;")
    with pytest.raises(RecordRefused):
        await migrate(empty_dsn, source=tmp_path)
    assert await pending(empty_dsn, source=tmp_path) == ["0002_bad.sql"]
    assert not [line for line in await schema(empty_dsn) if line.startswith("bad.")]


async def test_a_file_with_a_strange_name_is_refused(empty_dsn: str, tmp_path: Path) -> None:
    (tmp_path / "later.sql").write_text("SELECT 1;")
    with pytest.raises(ConfigError, match=r"later\.sql"):
        await migrate(empty_dsn, source=tmp_path)


async def test_without_postgresql_there_is_no_migration() -> None:
    with pytest.raises(StoreAway):
        await migrate("postgresql://nobody:x@127.0.0.1:1/none")


async def test_every_query_can_be_prepared(dsn: str) -> None:
    connection = await asyncpg.connect(dsn)
    for text in load().values():
        await connection.prepare(text)
    await connection.close()


async def test_tables_have_the_fields_of_the_types(dsn: str) -> None:
    columns = {line.split()[0] for line in await schema(dsn)}
    for table, kind in (("cdr", CallRecord), ("legs", LegRow), ("recordings", RecordingRow)):
        assert {column for column in columns if column.startswith(f"{table}.")} == {
            f"{table}.{item.name}" for item in fields(kind)
        }


async def test_every_table_says_what_it_is_for(dsn: str) -> None:
    connection = await asyncpg.connect(dsn)
    bare = await connection.fetch(
        "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')"
        " AND NOT relispartition AND relname <> 'schema_migrations' AND obj_description(oid, 'pg_class') IS NULL"
    )
    await connection.close()
    assert bare == []


async def test_each_installation_has_keys_of_its_own(server: object, dsn: str) -> None:
    connection = await asyncpg.connect(dsn)
    values = [row["value"] for row in await connection.fetch("SELECT value FROM meta")]
    await connection.close()
    assert len(set(values)) == 2
    assert all(len(value) == 32 for value in values)


async def test_months_ahead_get_partitions_and_take_what_the_default_had(dsn: str) -> None:
    connection = await asyncpg.connect(dsn)
    await connection.execute(
        "INSERT INTO cdr (request_id, conversation, account_id, agent_number, customer_number, caller_id, dialed_number,"
        " call_direction, destination_context, dial_status, call_date, uniqueid, end_reason)"
        " SELECT 'x', n, 'a', '', '', '', '', 'inbound', '', 'DND', now() + make_interval(months => n), '', 'dnd'"
        " FROM generate_series(0, 5) AS n"
    )
    assert await connection.fetchval("SELECT count(*) FROM cdr_default") == 2
    assert await connection.fetchval("SELECT cdr_make_partitions(6)") == 3
    assert await connection.fetchval("SELECT cdr_make_partitions(6)") == 0
    assert await connection.fetchval("SELECT count(*) FROM cdr_default") == 0
    assert await connection.fetchval("SELECT count(*) FROM cdr") == 6
    indexes = await connection.fetch(
        "SELECT inhrelid::regclass, (SELECT count(*) FROM pg_index WHERE indrelid = inhrelid) AS n FROM pg_inherits"
        " WHERE inhparent = 'cdr'::regclass"
    )
    await connection.close()
    assert {row["n"] for row in indexes} == {4}
