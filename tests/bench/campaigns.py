"""``campaigns``: calls a second of a campaign, against a bare ARI client that plays the same sound to the same far end; and
a million contacts read in, against a plain ``\\copy`` of the same file."""

import asyncio
import time
from pathlib import Path
from typing import Any

import aiohttp
import asyncpg

from engine.embedded.stack import Stack
from engine.media.tts.create import synthesizer
from engine.media.tts.port import Speech
from tests.bench.announcing import IN_FLIGHT, Announcements, Run, calls_a_second, shares
from tests.bench.load import Load
from tests.bench.sides import Outcome
from tests.bench.sip import AGENT

TEXT = "hello"
CONTACTS = 1_000_000
RECORDS_WITHIN = 120.0


def main(*, quick: bool = False) -> int:
    return _Run(quick=quick).main()


class _Calls(Announcements):
    """The engine's side is a campaign that is as fast as its caps let it be."""

    client: "Client"

    async def engine(self, load: Load) -> Outcome:
        first = await self._get_ready(load)
        contacts = [f"{AGENT.decode()}{first + n:08d}" for n in range(load.calls)]
        list_id = await self.client.contact_list(contacts)
        rows, before, began = await self._records(), self._usage(), time.time_ns()
        await self.client.campaign(list_id, load.in_flight or IN_FLIGHT)
        missing = await self._wait_records(rows + load.calls)
        used, seconds = self._usage() - before, (time.time_ns() - began) / 1e9
        run = {"sent": {f"{first + n:08d}": began for n in range(load.calls)}, "unended": 0}
        problems = [f"{missing} CDRs missing or not answered"] if missing else []
        return await self._outcome(load, run, used, seconds, problems)

    async def _wait_records(self, wanted: int) -> int:
        deadline = time.monotonic() + RECORDS_WITHIN
        while (missing := wanted - await self._records()) > 0 and time.monotonic() < deadline:
            await asyncio.sleep(0.02)
        return missing


class Client:
    """The API as the account uses it."""

    def __init__(self, stack: Stack) -> None:
        about = stack.describe()
        self._base = about["api"]
        self._headers = {"account": about["account"], "auth": about["auth"]}
        self._made = 0

    async def post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        timeout = aiohttp.ClientTimeout(total=600)
        async with (
            aiohttp.ClientSession(timeout=timeout, headers=self._headers) as session,
            session.post(f"{self._base}/api/{path}", json=body) as answer,
        ):
            response: dict[str, Any] = (await answer.json())["response"]
            if answer.status != 200:
                raise RuntimeError(f"{path}: {response}")
            return response

    async def contact_list(self, contacts: list[str]) -> str:
        self._made += 1
        made = await self.post("create_campaign_list", {"list_name": f"bench {self._made}"})
        list_id: str = made["list_id"]
        if contacts:
            whole = [{"contact_number": number} for number in contacts]
            await self.post("add_contact_to_list", {"list_id": list_id, "contacts": whole})
        return list_id

    async def campaign(self, list_id: str, at_once: int) -> None:
        fields = {
            "list_id": list_id,
            "campaign_name": f"bench of {list_id}",
            "campaign_type": "0",
            "campaign_caller_id": "15168148111",
            "announcement_text": TEXT,
            "campaign_start_date": "2020-01-01 00:00:00",
            "campaign_end_date": "2099-01-01 00:00:00",
            "calls_per_minute": "60000",
            "max_concurrent": at_once,
        }
        await self.post("create_campaign", fields)


class _Run(Run):
    name = "campaigns"

    async def figures(self, stack: Stack, database: asyncpg.Connection) -> tuple[dict[str, Any], list[str]]:
        bench = _Calls(stack, self.far_end, self.bare, database, "")
        bench.client = Client(stack)
        speaker = synthesizer(stack.plan.config)
        await speaker.start()
        try:
            with await speaker.speak(Speech(TEXT)) as spoken:
                bench.media = spoken.media
                engine, bare, problems = await self.in_turn(bench)
        finally:
            await speaker.close()
        return {
            **calls_a_second(engine, bare),
            "engine_cpu_ms": round(engine.cpu["engine"], 3),
            "engine_postgres_cpu_ms": round(engine.cpu["PostgreSQL"], 3),
            **shares(engine, bare),
            **await self._imported(stack, bench.client, database),
        }, problems

    async def _imported(self, stack: Stack, client: Client, database: asyncpg.Connection) -> dict[str, Any]:
        rows = 20_000 if self.quick else CONTACTS
        path = Path(stack.describe()["objects"]) / "account_1" / "bench.csv"
        await asyncio.to_thread(_write, path, rows)
        plain = await _copied(database, path)
        list_id, began = await client.contact_list([]), time.monotonic()
        await client.post("import_broadcast_contacts_csv", {"list_id": list_id, "csv_name": path.name})
        ours = time.monotonic() - began
        return {
            "import_rows": rows,
            "import_s": round(ours, 2),
            "copy_s": round(plain, 2),
            "import_ratio": round(ours / plain, 2),
        }


def _write(path: Path, contacts: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8") as file:
        file.write("contact_name,contact_number,field1,field2,field3\n")
        file.writelines(f"Name {n},9198{n:08d},Ankit{n},Jayswal,{n % 997}\n" for n in range(contacts))


async def _copied(database: asyncpg.Connection, path: Path) -> float:
    await database.execute(
        "CREATE TABLE plain (list bigint NOT NULL DEFAULT 1, id bigint GENERATED ALWAYS AS IDENTITY, name text,"
        " number text NOT NULL, f1 text, f2 text, f3 text, PRIMARY KEY (list, id), UNIQUE (list, number))"
    )
    began = time.monotonic()
    await database.copy_to_table(
        "plain", source=path, format="csv", header=True, columns=["name", "number", "f1", "f2", "f3"]
    )
    return time.monotonic() - began
