"""Who answered, over real calls: Asterisk carries them, the carrier simulator is the other side."""

import asyncio

import pytest
import pytest_asyncio

from engine.verbs.detect import Detect
from tests.bench.detect.calls import desk

pytestmark = pytest.mark.asyncio(loop_scope="module")

OWN = Detect("own", limit=8, wait_for_beep=20)
"""A limit far from what is decided before it, so that a slow machine tells them apart."""
AMD = Detect("amd", limit=5.5)
CALLEES = {
    "machine with beep": "15550005001",
    "machine without": "15550005002",
    "fax": "15550005004",
    "silent": "15550006001",
    "hello": "15550006004",
    "tone": "15550001234",
    "hangs up": "15550003001",
    "presses 5": "15550004005",
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def asked():
    """Every callee is called at the same time, once for each method; what each said, and the desk itself."""
    async with desk() as bench:
        methods = {"own": OWN, "amd": AMD, "dtmf": Detect("dtmf", limit=8)}
        asks = [bench.ask(number, {name: options}) for number in CALLEES.values() for name, options in methods.items()]
        done = await asyncio.gather(*asks)
        names = [(callee, name) for callee in CALLEES for name in methods]
        said = {key: outcome.said.get(key[1]) for key, outcome in zip(names, done, strict=True)}
        switch = bench.registry.switches["asterisk"]
        said["left"] = [channel.id for channel in await switch.channels()], await switch.bridges()
        yield said, bench


async def test_an_answering_machine_its_greeting_and_its_beep(asked):
    found = asked[0]["machine with beep", "own"]
    assert found.kind == "machine"
    assert found.seconds <= OWN.limit
    assert 5 < found.greeting_end < found.beep_at < 9
    assert found.beep_at - found.greeting_end < 1.2


async def test_a_machine_without_a_beep(asked):
    found = asked[0]["machine without", "own"]
    assert (found.kind, found.beep_at) == ("machine", None)
    assert 5 < found.greeting_end < 9


async def test_a_fax(asked):
    found = asked[0]["fax", "own"]
    assert (found.kind, found.reason) == ("fax", "fax_tone")
    assert found.seconds < OWN.limit


async def test_who_says_hello_and_waits_is_a_person_at_once(asked):
    found = asked[0]["hello", "own"]
    assert found.kind == "human"
    assert found.seconds < OWN.limit


@pytest.mark.parametrize("callee", ["silent", "tone"])
async def test_who_says_nothing_is_treated_as_a_person_at_the_limit(asked, callee):
    found = asked[0][callee, "own"]
    assert found.person
    assert found.seconds <= OWN.limit + 5


async def test_who_hangs_up_meanwhile(asked):
    for method in ("own", "amd", "dtmf"):
        found = asked[0]["hangs up", method]
        assert (found.kind, found.reason) == ("unknown", "hangup"), method
        assert found.seconds < 5


async def test_asterisks_amd_comes_back_with_its_word(asked):
    assert asked[0]["hello", "amd"].kind == "human"
    found = asked[0]["machine with beep", "amd"]
    assert (found.kind, found.reason) == ("machine", "longgreeting")


async def test_a_key_is_a_person_and_none_a_machine(asked):
    assert asked[0]["presses 5", "dtmf"].kind == "human"
    assert asked[0]["machine with beep", "dtmf"].kind == "machine"


async def test_nothing_is_left_in_asterisk(asked):
    assert asked[0]["left"] == ([], [])


async def test_the_timeline_tells_it(asked):
    _, bench = asked
    told = [event for call in bench.memory.calls.values() for event in call.timeline if event.kind == "leg.detected"]
    assert len(told) == 3 * (len(CALLEES) - 1), "all but those of the leg that ended"
    assert {"who", "confidence", "seconds", "method", "reason"} <= told[0].data.keys()
