"""The benchmark's parts that a change elsewhere could break unseen: subjects there are, and keys matched to calls."""

import importlib

from tests.bench.__main__ import SUBJECTS
from tests.bench.callers import Network
from tests.bench.digits import _matched


def test_every_subject_can_be_run():
    for module in filter(None, SUBJECTS.values()):
        assert callable(importlib.import_module(f"tests.bench.{module}").main)


async def test_the_network_calls_from_its_own_port():
    network = await Network.at(0, "127.0.0.1:5060")
    assert network.where == "127.0.0.1:5060"
    await network.close()


def test_a_callers_keys_are_those_of_one_call():
    callers = [[("1", 10.05), ("2", 11.05)], [("1", 20.05), ("2", 21.05)], [("3", 5.0)]]
    calls = [[("1", 20.0), ("2", 21.0)], [("1", 10.0), ("2", 11.0)], [("4", 5.0)]]
    delays, lost = _matched(callers, calls)
    assert [round(delay) for delay in delays] == [50, 50, 50, 50]
    assert lost == 1
