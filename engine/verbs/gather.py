"""Collect the keys that a party presses."""

import asyncio
from dataclasses import dataclass

from engine.calls.model import Leg
from engine.sessions.session import Session
from engine.verbs import keys
from engine.verbs.say import Prompt, play_prompts


@dataclass(frozen=True, slots=True)
class Gather:
    """``max_digits``: it is over with that many; a key of ``terminators`` ends it before, and is not part of the digits.
    Times in seconds: ``first_timeout`` from the end of the prompts to the first key, ``inter_digit_timeout`` between
    keys, ``total_timeout`` from the end of the prompts for all. ``barge_in``: a key cuts the prompts short; without, they
    are heard to their end, and what was pressed meanwhile counts. ``retries``: how often the prompts are played again
    when fewer than ``min_digits`` came. ``flush``: what was pressed before is forgotten, instead of counted."""

    prompts: tuple[Prompt, ...] = ()
    max_digits: int = 32
    terminators: str = "#"
    first_timeout: float = 5.0
    inter_digit_timeout: float = 3.0
    total_timeout: float = 60.0
    barge_in: bool = True
    retries: int = 0
    min_digits: int = 1
    flush: bool = False


@dataclass(frozen=True, slots=True)
class Gathered:
    """``reason``: digits (as many as there may be), terminator, timeout or hangup. ``digits`` also when it was too few."""

    digits: str
    reason: str
    tries: int = 1


async def gather(session: Session, leg: Leg, options: Gather) -> Gathered:
    """Collect keys of a party that is up. No key is lost: those that this did not want are there for the next verb.
    Raises InvalidFields for a prompt that can't be said."""
    if options.flush:
        keys.flush(session, leg)
    for tried in range(1, options.retries + 2):
        digits, reason = await _once(session, leg, options)
        enough = len(digits) >= options.min_digits
        if enough or reason == "hangup" or tried > options.retries:
            break
    return Gathered(digits, reason, tried)


async def _once(session: Session, leg: Leg, options: Gather) -> tuple[str, str]:
    def pressed() -> bool:
        return bool(keys.unread(session, leg))

    if options.prompts and not (options.barge_in and pressed()):
        await play_prompts(session, leg, options.prompts, stop_when=pressed if options.barge_in else None)
    return await _collect(session, leg, options)


async def _collect(session: Session, leg: Leg, options: Gather) -> tuple[str, str]:
    digits = ""
    ends = asyncio.get_running_loop().time() + options.total_timeout
    while len(digits) < options.max_digits:
        patience = options.inter_digit_timeout if digits else options.first_timeout
        left = max(ends - asyncio.get_running_loop().time(), 0.0)
        await session.until(lambda: bool(keys.unread(session, leg)) or not leg.up, min(patience, left))
        key = keys.take(session, leg, 1)
        if not key:
            return digits, "timeout" if leg.up else "hangup"
        if key in options.terminators:
            return digits, "terminator"
        digits += key
    return digits, "digits"
