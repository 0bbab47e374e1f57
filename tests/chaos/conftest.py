"""A stack whose engine reaches Asterisk and PostgreSQL through proxies that can be cut."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from urllib.parse import urlsplit

import pytest_asyncio
import yaml

from engine.testkit.proxy import FaultProxy
from engine.testkit.stack import Stack


@dataclass
class Lines:
    ari: FaultProxy
    ami: FaultProxy
    postgres: FaultProxy


def _port(address: str) -> int:
    return int(address.rpartition(":")[2])


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def lines(stack: Stack) -> AsyncIterator[Lines]:
    """The engine is started anew with proxies in its configuration; afterwards with the configuration it had."""
    path = stack.state / "engine.yaml"
    original = path.read_text()
    settings = yaml.safe_load(original)
    server = settings["asterisk"][0]
    dsn = settings["database"]["dsn"]
    proxies = Lines(
        await FaultProxy.start("127.0.0.1", urlsplit(server["ari"]).port),
        await FaultProxy.start("127.0.0.1", _port(server["ami"])),
        await FaultProxy.start("127.0.0.1", urlsplit(dsn).port),
    )
    server["ari"] = f"http://127.0.0.1:{proxies.ari.port}/ari"
    server["ami"] = f"127.0.0.1:{proxies.ami.port}"
    settings["database"]["dsn"] = dsn.replace(f":{urlsplit(dsn).port}/", f":{proxies.postgres.port}/")
    try:
        await _restart(stack, yaml.safe_dump(settings))
        yield proxies
    finally:
        await _restart(stack, original)
        for proxy in (proxies.ari, proxies.ami, proxies.postgres):
            await proxy.close()


async def _restart(stack: Stack, configuration: str) -> None:
    (stack.state / "engine.yaml").write_text(configuration)
    pid = stack.kill("engine")
    await stack.wait_ready(but=pid)
