"""Asterisk's queues as its console tells them, and what the dialer makes of a full one."""

import asyncio
from pathlib import Path

import pytest

from engine.dialer.brake import EVERY, Brake
from engine.telephony import queues
from engine.telephony.queues import Queue, Queues, parse
from tests.waiting import until

OF_22 = """
Processor                                                               Processed   In Queue  Max Depth  Low water High water Low time(us) High time(us)
app_voicemail                                                                   0          0          0        450        500          0          0
CCSS_core                                                                       0          0          0        450        500          0          0
pjsip/distributor-0000001e                                                    812        731        744        450        500          0          0
stasis/m:manager:core-00000006                                                  7          0          2        450        500          0        135
taskpool/s:stasis-00000004                                                      1        500          1        450        500          0          0

5 taskprocessors

"""
"""Asterisk 22.10.1; two of its lines have another number in the third column."""
OF_20 = """
Processor                                                               Processed   In Queue  Max Depth  Low water High water
iax2_transmit                                                                   0          0          0        450        500
stasis/pool-control                                                            99        501        533       2700       3000

2 taskprocessors
"""


def test_what_22_tells() -> None:
    found = parse(OF_22)
    assert [queue.name for queue in found if not queue.full] == [
        "app_voicemail",
        "CCSS_core",
        "stasis/m:manager:core-00000006",
    ]
    assert [queue for queue in found if queue.full] == [
        Queue("pjsip/distributor-0000001e", 731, 500),
        Queue("taskpool/s:stasis-00000004", 500, 500),
    ]


def test_what_20_tells() -> None:
    assert parse(OF_20) == [Queue("iax2_transmit", 0, 500), Queue("stasis/pool-control", 501, 3000)]
    assert not any(queue.full for queue in parse(OF_20))


@pytest.mark.parametrize("text", ["", "No such command 'core show taskprocessors'", "a 1 2 3", "\x00\xff"])
def test_what_tells_nothing(text: str) -> None:
    assert parse(text) == []


def test_a_queue_without_a_mark_is_never_full() -> None:
    assert not Queue("any", 10_000, 0).full


async def test_it_looks_while_somebody_wants_to_know(monkeypatch: pytest.MonkeyPatch) -> None:
    answers: list[list[Queue] | OSError] = [parse(OF_22), FileNotFoundError(), parse(OF_22), parse(OF_20), parse(OF_22)]
    wanted, asked = [True], []

    async def ask(socket: Path) -> list[Queue]:
        asked.append(socket)
        answer = answers.pop(0)
        if isinstance(answer, OSError):
            raise answer
        return answer

    monkeypatch.setattr(queues, "ask", ask)
    monkeypatch.setattr(queues, "EVERY", 0.0)
    monkeypatch.setattr(queues, "AGAIN", 0.0)
    seen = []
    looking = Queues({"asterisk": Path("asterisk.ctl")}, lambda: wanted[0])

    async def look() -> None:
        await looking._look("asterisk", Path("asterisk.ctl"))
        seen.append(looking.flooded())

    for _ in range(5):
        await look()
    assert seen == [True, False, True, False, True]
    assert looking.full["asterisk"].name == "pjsip/distributor-0000001e", "the fullest"
    wanted[0] = False
    running = asyncio.create_task(looking.run())
    await until(lambda: not looking.flooded())
    running.cancel()
    assert len(asked) == 5, "nobody wanted to know"


def test_a_full_queue_brakes_and_an_empty_one_lets_go() -> None:
    clock, full = [0.0], [True]
    brake = Brake(100, lambda: clock[0], flooded=lambda: full[0])
    assert brake.room(80) == 0
    assert (brake.window, brake.braked) == (40, 1)
    full[0] = False
    for _ in range(10):
        clock[0] += EVERY
        brake.room(0)
    assert brake.room(0) == 100
