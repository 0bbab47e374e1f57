"""Calls as the tests here place them, and what they check of every one that has ended."""

import asyncio
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import numpy as np

from engine.testkit import numbers
from engine.testkit.client import at, leg_of
from engine.testkit.heard import Callee

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass
class Finished:
    """A click-to-call that is over, seen from all sides."""

    agent_number: str
    customer_number: str
    request_id: str
    call: dict
    cdr: dict
    agent: Callee | None = None
    customer: Callee | None = None
    """None: the simulator has no call of that number."""
    story: str = ""
    cel: dict = field(default_factory=dict)

    def leg(self, role):
        return leg_of(self.call, role)


async def click_to_call(api, stack, *, agent=None, customer=None, then=None, within=60.0, **fields):
    """Place a call, do ``then(request_id)`` while it runs, wait for its end, and gather what all sides know of it."""
    agent, customer = agent or numbers.plain(), customer or numbers.plain()
    request_id = await api.click2call(agent, customer, **fields)
    if then is not None:
        await then(request_id)
    call = await api.wait_ended(request_id, within)
    return await finished(api, stack, request_id, (agent, customer), call)


async def finished(api, stack, request_id, parties, call):
    """``parties``: the numbers of agent and customer. Who never answered a packet, or was refused, kept no sound."""
    reached = [leg["number"] for leg in call["legs"] if leg["sip_code"] is None and not leg["number"].endswith("0408")]
    heard = dict(zip(reached, await asyncio.gather(*map(stack.callee, reached)), strict=True))
    return Finished(
        *parties,
        request_id,
        call,
        await api.cdr(request_id),
        *(heard.get(number) for number in parties),
        await api.story(request_id),
        dict(await stack.ended_channels(*(leg["channel_id"] for leg in call["legs"]))),
    )


def agrees_with_cel(done):
    """Leg by leg: answered or not, and its times within a second, are those of Asterisk's own record. The row of one
    that we called came first."""
    for leg in done.call["legs"]:
        history = done.cel[leg["channel_id"]]
        assert (leg["answered_at"] is None) == (history.answered_at is None), f"{leg}\n{history}\n{done.story}"
        pairs = [("answered_at", history.answered_at), ("ended_at", history.ended_at)]
        early = (history.created_at - at(leg["created_at"])).total_seconds()
        assert -10 < early < 1 if leg["role"] == "caller" else 0 <= early < 30, f"{leg}\n{history}\n{done.story}"
        for name, told in pairs:
            if leg[name] is not None:
                assert abs((at(leg[name]) - told).total_seconds()) < 1, f"{name}: {leg[name]} {told}\n{done.story}"


def agrees_with_its_record(done):
    """The CDR tells the same as the call and its legs."""
    cdr, call = done.cdr, done.call
    last = done.leg("customer") or done.leg("agent")
    assert cdr["request_id"] == call["request_id"]
    assert cdr["account_id"] == call["account"]
    assert cdr["dialed_number"] == last["number"]
    assert cdr["uniqueid"] == call["legs"][0]["channel_id"]
    assert cdr["recording_name"] == (call["recording_name"] or "")
    assert cdr["call_date"] == cdr["end"]
    assert_same_second(cdr["end"], at(call["ended_at"]))
    answered = last["answered_at"] if last["role"] == "customer" else None
    assert_same_second(cdr["answer"], at(answered) if answered else EPOCH)
    billed = (at(call["ended_at"]) - at(answered)).total_seconds() if answered else 0.0
    assert abs(cdr["billsec"] - billed) < 0.05
    assert call["created_at"] <= call["legs"][0]["created_at"]
    first = call["legs"][0]
    invited = at(first["ringing_at"] or first["answered_at"] or first["ended_at"])
    made = done.cel[first["channel_id"]].created_at
    least, most = ((at(call["ended_at"]) - since).total_seconds() for since in (invited, made))
    assert least - 0.05 <= cdr["call_duration"] <= most + 0.05, done.story


def assert_same_second(http_date, when):
    assert abs((parsedate_to_datetime(http_date) - when).total_seconds()) <= 1


def after(samples, seconds):
    """What was heard from that many seconds on."""
    return samples[int(seconds * 8000) :]


def joined(*samples):
    return np.concatenate(samples)
