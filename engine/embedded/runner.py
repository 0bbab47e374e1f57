"""A stack in the foreground: its signals, its first words, its last."""

import asyncio
import signal
import sys
from collections.abc import Awaitable, Callable

from engine.embedded.progress import say
from engine.embedded.stack import Stack


async def announce(stack: Stack) -> None:
    """Say where everything is; the stack then runs until a signal."""
    about = stack.describe()
    say(f"ready: {about['api']}  (account {about['account']}, auth in {stack.plan.state.stack_json})")
    say(f"  phones register at {about['asterisk']['sip']} as 101 to 110; logs in {stack.plan.state.log}; ^C ends it")
    await asyncio.Event().wait()


async def run(stack: Stack, body: Callable[[Stack], Awaitable[None]]) -> int:
    """Start ``stack``, do ``body``, stop it. The first SIGTERM, SIGINT or SIGHUP ends the body and stops in order; any
    later one ends the engine at once. Gives 0, also after a signal; what ``start`` or ``body`` raise comes through.
    """
    _watch_children_without_threads()
    stop, hasten = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()
    hangup = () if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN else (signal.SIGHUP,)  # nohup
    for number in (signal.SIGTERM, signal.SIGINT, *hangup):
        loop.add_signal_handler(number, lambda: hasten.set() if stop.is_set() else stop.set())
    work = asyncio.create_task(_work(stack, body), name="stack")
    ended = asyncio.create_task(stop.wait(), name="stop signal")
    try:
        await asyncio.wait((work, ended), return_when=asyncio.FIRST_COMPLETED)
    finally:
        stop.set()
        work.cancel()
        await asyncio.gather(work, return_exceptions=True)
        await stack.stop(hasten)
        ended.cancel()
    if not work.cancelled():
        work.result()
    return 0


async def _work(stack: Stack, body: Callable[[Stack], Awaitable[None]]) -> None:
    await stack.start()
    doing = asyncio.ensure_future(body(stack))
    failing = asyncio.ensure_future(stack.failed())
    try:
        done, _ = await asyncio.wait((doing, failing), return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in (doing, failing):
            task.cancel()
        await asyncio.gather(doing, failing, return_exceptions=True)


def _watch_children_without_threads() -> None:
    """Before 3.12 asyncio waits for each child in a thread; a thread that forks must not be one of several."""
    if sys.version_info < (3, 12):
        watcher = asyncio.PidfdChildWatcher()
        watcher.attach_loop(asyncio.get_running_loop())
        asyncio.get_event_loop_policy().set_child_watcher(watcher)
