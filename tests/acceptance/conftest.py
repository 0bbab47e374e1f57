"""Every test here is a user's: HTTP and SIP in, sound, records and Asterisk's own log out."""

import pytest_asyncio

from tests.acceptance.live_calls import registered


@pytest_asyncio.fixture(autouse=True, loop_scope="session")
async def nothing_left(no_leaks):
    """After each test nothing of a call is left in Asterisk or the engine."""


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def hasty(stack):
    """account_2's API, with a short patience: 5 s for the agent, 6 s for the destination, 30 s for a call, no prompt."""
    await stack.trunkline(
        *("accounts", "limits", "account_2", "agent_ring=5", "destination_ring=6", "max_duration=30"),
        "connect_prompt=off",
    )
    return stack.api2


@pytest_asyncio.fixture(loop_scope="session")
async def phones(stack):
    """Registered softphones 101 to 103, each with a tone of its own."""
    async with registered(stack, "101", "102", "103") as opened:
        yield opened
