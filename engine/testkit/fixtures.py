"""Fixtures: the running stack, shared by a test session, and the check that a test left nothing behind in it.

``stack`` is the real thing, started as a user starts it: a supervisor in a process of its own, whose path has a space
in it. Its parts are imported when a test first asks for it.
"""

from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio

if TYPE_CHECKING:
    from engine.testkit.stack import Stack

_STACK = pytest.StashKey["Stack"]()
_FAILED = pytest.StashKey[bool]()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def stack(request: pytest.FixtureRequest) -> AsyncIterator["Stack"]:
    """A stack that is ready. Ended with the session, and then nothing of it may be left."""
    from engine.testkit.running import Running  # noqa: PLC0415
    from engine.testkit.stack import Stack  # noqa: PLC0415

    running = Running.start({"TRUNKLINE_HOOK_ALLOW": "127.0.0.0/8"})
    try:
        await running.ready()
        async with Stack(running.state) as opened:
            request.session.stash[_STACK] = opened
            yield opened
    except BaseException:
        await running.abandon()
        raise
    await running.stop()
    running.remove(keep_logs=request.session.stash.get(_FAILED, False))


@pytest_asyncio.fixture(loop_scope="session")
async def no_leaks(stack: "Stack") -> AsyncIterator[None]:
    """After the test: no channel, no bridge, no live call, and no more descriptors in the engine than before."""
    from engine.testkit.leaks import Inventory, clear  # noqa: PLC0415

    before = await Inventory.of(stack)
    yield
    try:
        await before.compare(stack)
    except AssertionError:
        await clear(stack)  # one leak is one failure, and not that of every test after it
        raise


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[Any]) -> Iterator[None]:  # noqa: ARG001
    """A failed test of the stack shows the ends of the stack's logs."""
    outcome = yield
    report: pytest.TestReport = outcome.get_result()  # type: ignore[attr-defined]
    if not report.failed:
        return
    item.session.stash[_FAILED] = True
    stack = item.session.stash.get(_STACK, None)
    if stack is not None and "stack" in getattr(item, "fixturenames", ()):
        report.sections.extend((f"end of {name}", text) for name, text in stack.log_tails())
