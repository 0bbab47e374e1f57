"""One FastAGI connection: commands out, replies in, and the keys and the hang-up that Asterisk tells in between.

AGI knows one command at a time, and a key is only told by a command that waits for one. So whenever nothing else is
under way the channel waits for a key here. A command that waits, plays or speaks ends as soon as Asterisk can read
another one; some then give a reply, some none (Asterisk 22, ``res_agi.c``), so that a question with an answer of its
own (``GET FULL VARIABLE tl7`` → ``(tl7)``) goes in between, and tells which replies belong to what. Nothing is sent ahead:
a second line would lie in Asterisk's buffer, unseen, until a third one came.
"""

import asyncio
import re
import socket
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

from engine.errors import Gone, RequestTimedOut

KEYS: Final = "0123456789*#ABCD"
ANSWERED_WITHIN: Final = 10.0
"""Seconds for a command that does not wait for anything."""
HANGUP_TELLS_WITHIN: Final = 0.3
"""Seconds from a reply that only a dead channel gives to Asterisk's word that it is dead."""
RESTS_FOR: Final = 0.25
"""Seconds before a wait is asked for again that came back at once, with nothing."""
AT_ONCE: Final = 0.05
SETTLES_WITHIN: Final = 0.01
"""Seconds until Asterisk has read a command, and is about it."""
ASKED_AGAIN_AFTER: Final = 0.05
MOST_QUESTIONS: Final = 20
_DEAD: Final = 511
_REPLY = re.compile(r"([0-9]{3})(?:[ -](?:result=(-?[0-9]{1,12}))?(.*))?")
_VALUE = re.compile(r"\((.*)\)")
_ENDPOS = re.compile(r"endpos=([0-9]{1,12})")


@dataclass(frozen=True, slots=True)
class Reply:
    """``result`` as AGI gave it; ``value`` what stands in brackets; ``cut``: it was ended by another command, ``gone``:
    by the end of the connection."""

    code: int = 200
    result: int = 0
    value: str = ""
    endpos: int | None = None
    cut: bool = False
    gone: bool = False

    @property
    def key(self) -> str:
        """The key that ended the command, or nothing. (RECORD FILE that a silence ended has milliseconds there.)"""
        key = chr(self.result) if 0 < self.result < 128 and self.value != "timeout" else " "  # noqa: PLR2004 - ASCII
        return key if key in KEYS else ""


def parse(line: str) -> Reply | None:
    """A reply; None for what is none."""
    match = _REPLY.fullmatch(line)
    if match is None:
        return None
    rest = match[3] or ""
    value, endpos = _VALUE.search(rest), _ENDPOS.search(rest)
    return Reply(int(match[1]), int(match[2] or 0), value[1] if value else "", int(endpos[1]) if endpos else None)


@dataclass(slots=True)
class _Command:
    text: str
    reply: asyncio.Future[Reply]
    yields: bool = False
    """Another command ends it."""
    listens: bool = False
    """It is there because nothing else is."""
    began: float = 0.0
    cut: bool = False
    """It is to end, because there is something else to do."""
    tokens: deque[str] = field(default_factory=deque)
    """What the answers have in brackets to the questions that stand behind it."""
    timer: asyncio.TimerHandle | None = None
    """To the next question."""

    def done(self, reply: Reply) -> None:
        if not self.reply.done():
            self.reply.set_result(reply)


def _nothing(_: str) -> None:
    return


@dataclass(slots=True)
class AgiLine:
    """``on_key`` hears each key; ``on_hangup`` that the channel is dead, while questions about it are still answered;
    ``on_end`` that the connection is over. Each is called at once, from ``run``."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    on_key: Callable[[str], None] = _nothing
    on_hangup: Callable[[], None] = lambda: None
    on_end: Callable[[], None] = lambda: None
    over: bool = False
    hung_up: bool = False
    quiet: bool = False
    """The channel is up, and nothing hums on it: keys may be waited for by playing silence, which ends without a warning
    in Asterisk's log when something else is to be done."""
    hums: bool = False
    """Tones or music are heard, which silence would end. Where neither is true there is nobody yet who could press."""
    no_silence: bool = False
    """That Asterisk has no such sound."""
    _current: _Command | None = None
    _queue: deque[_Command] = field(default_factory=deque)
    _serial: int = 0
    _usage: bool = False
    """In the lines of a reply that has several."""
    _rest: asyncio.TimerHandle | None = None

    @property
    def peer(self) -> str:
        """Address of the Asterisk at the other end."""
        return str((self.writer.get_extra_info("peername") or ("",))[0])

    # -- commands --------------------------------------------------------------------------------------------------

    def send(self, text: str, *, yields: bool = False) -> asyncio.Future[Reply]:
        """Have Asterisk run a command, as soon as what it does now is over; what yields is ended. Raises Gone."""
        if self.over:
            raise Gone("the AGI connection is over")
        command = _Command(text, asyncio.get_running_loop().create_future(), yields=yields)
        self._queue.append(command)
        self._pump()
        return command.reply

    def _pump(self) -> None:
        if self._current is not None:
            self._cut(self._current)
        elif self._queue:
            self._run(self._queue.popleft())

    def _run(self, command: _Command) -> None:
        self._current = command
        command.began = _now()
        self._write(command.text)

    async def ask(self, text: str, *, timeout: float = ANSWERED_WITHIN) -> Reply:
        """A command that Asterisk answers at once, and its reply. Raises Gone, RequestTimedOut."""
        reply = self.send(text)
        try:
            async with asyncio.timeout(timeout):
                answer = await asyncio.shield(reply)
        except TimeoutError:
            raise RequestTimedOut(f"AGI gave no answer within {timeout} s") from None
        if answer.gone or answer.code == _DEAD:
            raise Gone("the channel is no more")
        return answer

    async def value(self, expression: str) -> str:
        """Raises Gone, RequestTimedOut."""
        return (await self.ask(f"GET FULL VARIABLE {expression}")).value

    def interrupt(self) -> None:
        """End the sound under way, if it yields."""
        if self._current is not None and not self._current.listens:
            self._cut(self._current)

    def _cut(self, current: _Command) -> None:
        if not current.yields or current.cut or self.over:
            return
        current.cut = True
        if (left := current.began + SETTLES_WITHIN - _now()) > 0:
            current.timer = asyncio.get_running_loop().call_later(left, self._question, current)
        else:
            self._question(current)

    def _question(self, current: _Command) -> None:
        """Asked again where there is no answer: Asterisk has read the first one together with the command, and looks at
        what it has read only when there is more to be read."""
        if current is not self._current or self.over or len(current.tokens) >= MOST_QUESTIONS:
            return
        self._serial += 1
        current.tokens.append(f"tl{self._serial}")
        self._write(f"GET FULL VARIABLE {current.tokens[-1]}")
        current.timer = asyncio.get_running_loop().call_later(ASKED_AGAIN_AFTER, self._question, current)

    @property
    def busy(self) -> bool:
        """With a command that nothing ends but itself."""
        return self._current is not None and not self._current.yields

    def listen(self) -> None:
        """Wait for keys from now on, whenever there is nothing else to do."""
        self._rest = None
        idle = self._current is None and not self._queue and not self.over and not self.hung_up
        if not idle or not (self.quiet or self.hums):
            return
        text = (
            f'STREAM FILE "silence/10" "{KEYS}"'
            if self.quiet and not (self.hums or self.no_silence)
            else "WAIT FOR DIGIT -1"
        )
        waiting = _Command(text, asyncio.get_running_loop().create_future(), yields=True, listens=True)
        waiting.reply.add_done_callback(lambda done: self._waited(done.result(), waiting.began))
        self._run(waiting)

    def _waited(self, reply: Reply, began: float) -> None:
        at_once = _now() - began < AT_ONCE
        if reply.key:
            self.on_key(reply.key)
        elif at_once and self.quiet and reply.result < 0 and reply.endpos == 0 and not self.no_silence:
            self.no_silence = True
        elif reply.result < 0 and not reply.gone:
            self._dead_soon()
        elif at_once and not reply.cut and not reply.gone:
            self._rest = self._rest or asyncio.get_running_loop().call_later(RESTS_FOR, self.listen)
        if self._rest is None:
            self.listen()

    def close(self) -> None:
        """Let Asterisk go on in the dialplan."""
        self.writer.close()

    # -- replies ---------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Read until the connection ends."""
        try:
            while line := await self.reader.readuntil(b"\n"):
                self._quick()
                self._take(line.decode(errors="replace").rstrip("\r\n"))
        except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass
        finally:
            self._end()

    def _quick(self) -> None:
        """Asterisk writes each line on its own with Nagle's algorithm: the second waits for our acknowledgement of the
        first, which the kernel likes to give 40 ms late."""
        with suppress(OSError, AttributeError):
            self.writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)

    def _take(self, line: str) -> None:
        if line == "HANGUP":
            self._dead()
            return
        if self._usage:  # the lines behind "520-Invalid command syntax.", until the one that ends them
            self._usage = not line.startswith("520 ")
            return
        reply = parse(line)
        if reply is not None and self._current is not None:
            self._usage = line.startswith("520-")
            self._replied(self._current, reply)

    def _replied(self, current: _Command, reply: Reply) -> None:
        own = not current.reply.done() and not (current.tokens and reply.value == current.tokens[0])
        if own and current.tokens:  # the answers to the questions come behind it
            cut = not reply.key and reply.endpos is None
            current.done(Reply(reply.code, reply.result, cut=True) if cut else reply)
            return
        current.done(reply if own else Reply(cut=True))
        if current.timer is not None:
            current.timer.cancel()
        if current.tokens:
            current.tokens.popleft()
        if not current.tokens:
            self._finished(current, reply)

    def _finished(self, current: _Command, reply: Reply) -> None:
        self._current = None
        if reply.code == _DEAD:
            self._dead_soon()
        self._pump()
        if self._current is None and self._rest is None:
            if reply.key:  # more may come, and Asterisk drops what is pressed while no command waits
                self.listen()
            elif not current.listens:
                self._rest = asyncio.get_running_loop().call_later(0, self.listen)

    def _dead_soon(self) -> None:
        """Some senders of replies do not say HANGUP (``AGISIGHUP=no``)."""
        if self._rest is None and not self.hung_up:
            self._rest = asyncio.get_running_loop().call_later(HANGUP_TELLS_WITHIN, self._dead)

    def _dead(self) -> None:
        if not self.hung_up and not self.over:
            self.hung_up = True
            self.on_hangup()

    def _end(self) -> None:
        self.over = True
        for timer in (self._rest, self._current.timer if self._current else None):
            if timer is not None:
                timer.cancel()
        waiting = [self._current] if self._current else []
        for command in (*waiting, *self._queue):
            command.done(Reply(result=-1, gone=True))
        self._queue.clear()
        self.writer.close()
        self.on_end()

    def _write(self, text: str) -> None:
        self.writer.write(f"{text}\n".encode())


def _now() -> float:
    return asyncio.get_running_loop().time()
