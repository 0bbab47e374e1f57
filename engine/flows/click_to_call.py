"""Connect an agent to a customer: the agent is called first, then the customer, then they talk."""

from collections.abc import Mapping
from typing import Any

from engine import ids
from engine.calls import disposition
from engine.calls.model import Leg
from engine.sessions.session import Session
from engine.verbs.bridge import dissolve, join, talk
from engine.verbs.dial import Dial, dial
from engine.verbs.play import play
from engine.verbs.record import record_sides


async def click_to_call(session: Session, params: Mapping[str, Any]) -> str | None:
    """``params``: agent_number, customer_number, caller_id (digits), recording_option (both, agent, customer, off)."""
    limits = session.account.limits
    agent = await dial(
        session, Dial("agent", params["agent_number"], params["caller_id"], ring_timeout=limits.agent_ring)
    )
    if not agent.up:
        return None
    prompt = limits.connect_prompt and session.call.step != "destination"
    await session.step("destination")
    bridge = ids.bridge_id(session.call.request_id)
    hearing = session.spawn(_let_hear(session, agent, bridge), "prompt") if prompt else None
    customer = await dial(
        session,
        Dial(
            "customer",
            params["customer_number"],
            params["caller_id"],
            ring_timeout=limits.destination_ring,
            bridge=bridge,
            company=() if prompt else (agent,),
            alongside=agent,
        ),
    )
    if hearing:
        await hearing
    if customer.up and agent.up:
        await _connect(session, bridge, agent, customer)
    elif agent.up and customer.answered_at is None:
        await _announce(session, bridge, agent, customer)
    return None


async def _let_hear(session: Session, agent: Leg, bridge: str) -> None:
    """What the agent hears while the customer's phone rings: a short prompt, then the bridge, and in it the far end's
    early media where there is any, else ringback."""

    def decided() -> bool:
        customer = session.call.leg("customer")
        return not agent.up or (customer is not None and (customer.up or not customer.alive))

    await play(session, agent, *session.services.prompts["connecting"], longest=10, stop_when=decided)
    await session.until(lambda: decided() or _dialed(session), 10)
    if decided():
        return
    await join(session, bridge, agent)
    await ringback(session, agent, session.call.leg("customer"))


def _dialed(session: Session) -> bool:
    customer = session.call.leg("customer")
    return customer is not None and customer.dialing_at is not None


async def ringback(session: Session, agent: Leg, customer: Leg | None) -> None:
    """The far end rang before the agent came into the bridge: make up for the ringback that was missed."""
    if customer is None or customer.ringing_at is None or customer.progress_at is not None:
        return
    await session.attempt(session.switch.ring(agent.channel_id))
    await session.until(lambda: not customer.alive or customer.up or customer.progress_at is not None or not agent.up)
    if agent.up:
        await session.attempt(session.switch.ring_stop(agent.channel_id))


async def _connect(session: Session, bridge: str, agent: Leg, customer: Leg) -> None:
    if session.call.state != "talking":
        await join(session, bridge, agent, customer)
    recording = session.call.params.get("recording_option", "off")
    parties = {"agent": agent, "customer": customer}
    await record_sides(session, recording, parties, transcribe=bool(session.call.params.get("transcript")))
    await talk(session, bridge, agent, customer)


async def _announce(session: Session, bridge: str, agent: Leg, customer: Leg) -> None:
    """Tell the agent why nobody is there."""
    await dissolve(session, bridge)
    prompts = session.services.prompts
    congested = disposition.of_leg(customer) is disposition.CONGESTION
    reason = "congestion" if congested else disposition.end_reason(customer)
    await play(session, agent, *prompts.get(reason, prompts["failed"]), longest=15)
