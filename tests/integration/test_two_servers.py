"""One engine, two Asterisk servers: a call stays on the one it began on, a new one goes where fewest are."""

import asyncio
import json
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from engine.embedded.environment import child_environment
from engine.embedded.process import die_with_parent
from engine.testkit.asterisks import Asterisks, asterisks
from engine.testkit.client import Client
from engine.testkit.numbers import plain
from engine.testkit.poll import eventually

AUTH = "an-auth-of-this-test-alone"
APP = "trunkline-pair"


@dataclass
class Pair:
    servers: dict[str, Asterisks]
    api: Client

    async def server_of(self, request_id: str) -> str:
        (created, *_) = await self.api.events(request_id)
        return created["data"]["server"]


@pytest.fixture
async def pair(dsn: str, tmp_path: Path) -> AsyncIterator[Pair]:
    async with AsyncExitStack() as stack:
        servers = {name: await stack.enter_async_context(asterisks(APP)) for name in ("east", "west")}
        port = servers["east"].ports.one()
        await stack.enter_async_context(_engine(_write(tmp_path, dsn, port, servers), tmp_path))
        api = await stack.enter_async_context(Client(f"http://127.0.0.1:{port}", "account_1", AUTH))
        yield Pair(servers, api)


def _write(folder: Path, dsn: str, port: int, servers: dict[str, Asterisks], engine: str = "pair") -> Path:
    configuration = folder / "engine.yaml"
    links = []
    for name, each in servers.items():
        link = each.server.model_dump(mode="json") | {"name": name, "cel": str(each.ours.folders.cel)}
        link["ari_password"] = each.server.ari_password.get_secret_value()
        link["ami_secret"] = each.server.ami_secret.get_secret_value()
        links.append(link)
    settings = {
        "engine_id": engine, "state": str(folder / "engine"), "objects": str(folder / "objects"),
        "recordings": str(folder / "recordings"), "database": {"dsn": dsn}, "http": {"port": port}, "asterisk": links, "fastagi": {"port": 0},
    }  # fmt: skip
    configuration.write_text(yaml.safe_dump(settings))
    account = {"account": "account_1", "auth": AUTH, "number": 1234, "country": "91", "caller_ids": ["15168148111"]}
    (folder / "seed.json").write_text(json.dumps({"accounts": [account]}))
    return configuration


class _engine:  # noqa: N801 - used as a context manager alone
    def __init__(self, configuration: Path, folder: Path) -> None:
        self.configuration, self.folder = configuration, folder

    async def __aenter__(self) -> None:
        with (self.folder / "engine.log").open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                sys.executable, "-P", "-m", "engine", "engine", "--config", str(self.configuration),
                "--seed", str(self.folder / "seed.json"), stdin=asyncio.subprocess.DEVNULL, stdout=log, stderr=log,
                env=child_environment({}), preexec_fn=die_with_parent(),
            )  # fmt: skip

    async def __aexit__(self, *_: object) -> None:
        self.process.send_signal(signal.SIGTERM)
        self.process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(60):
            await self.process.wait()


async def settled(api: Client) -> None:
    async def look() -> bool:
        try:
            return (await api.get("/readyz")).status == 200
        except OSError:
            return False

    await eventually(look, within=60, what="ready engine", every=0.1)


async def talking(pair: Pair, calls: int) -> list[str]:
    made = [await pair.api.click2call(plain(), plain()) for _ in range(calls)]
    for request_id in made:
        await pair.api.wait_state(request_id, "talking")
    return made


async def test_calls_are_spread_and_the_death_of_one_server_ends_its_own_calls_alone(pair: Pair):
    await settled(pair.api)
    await _both_known(pair)
    made = await talking(pair, 6)
    where = {request_id: await pair.server_of(request_id) for request_id in made}
    assert Counter(where.values()) == {"east": 3, "west": 3}

    await pair.servers["east"].ours.stop(signal.SIGKILL)
    after = await talking(pair, 2)
    assert {await pair.server_of(request_id) for request_id in after} == {"west"}, "new calls go where Asterisk is"

    await pair.servers["east"].ours.start()
    for request_id, server in where.items():
        if server == "east":
            call = await pair.api.wait_ended(request_id, 60)
            assert call["reconciled"]
        else:
            assert (await pair.api.call(request_id))["state"] == "talking"
    survivors = [request_id for request_id, server in where.items() if server == "west"] + after
    await _end(pair, survivors)


async def test_a_call_is_ended_by_any_engine_of_its_database_while_its_own_lives(pair: Pair, dsn: str, tmp_path: Path):
    await settled(pair.api)
    (call,) = await talking(pair, 1)
    async with AsyncExitStack() as stack:
        elsewhere = await stack.enter_async_context(asterisks("trunkline-other"))
        folder, port = tmp_path / "other", elsewhere.ports.one()
        folder.mkdir()
        settings = _write(folder, dsn, port, {"north": elsewhere}, engine="other")
        await stack.enter_async_context(_engine(settings, folder))
        other = await stack.enter_async_context(Client(f"http://127.0.0.1:{port}", "account_1", AUTH))
        await settled(other)
        (await other.hang_up(call)).expect(200)
        assert (await other.call(call))["state"] == "ended"
        assert (await other.hang_up(call)).status == 409
        (cdr,) = await pair.api.cdrs(call)
        assert cdr["dial_status"] == "ANSWER"


async def _both_known(pair: Pair) -> None:
    """Two calls at once land on two servers as soon as both links are up."""

    async def look() -> bool:
        made = await talking(pair, 2)
        servers = {await pair.server_of(request_id) for request_id in made}
        await _end(pair, made)
        return servers == {"east", "west"}

    await eventually(look, within=60, what="calls on both servers")


async def _end(pair: Pair, request_ids: list[str]) -> None:
    for request_id in request_ids:
        (await pair.api.hang_up(request_id)).expect(200)
        await pair.api.wait_ended(request_id)
        (cdr,) = await pair.api.cdrs(request_id)
        assert cdr["dial_status"] == "ANSWER"
