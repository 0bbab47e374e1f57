"""The flow ``ivr``: a caller in a menu. And the menus that the engine has, which may be read anew at any time."""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import structlog

from engine.flows.conference.flow import CONFERENCE
from engine.flows.conference.stay import STEP as ROOM
from engine.flows.menus import check
from engine.flows.menus.book import Book, Problem
from engine.flows.menus.call import CallVoice
from engine.flows.menus.runner import Runner
from engine.mail.port import NoPost, Post
from engine.sessions.session import Session
from engine.verbs import keys
from engine.verbs.answer import answer
from engine.verbs.hangup import hangup
from engine.verbs.play import play

log = structlog.get_logger(__name__)

STEP = "menu:"
_OTHER = re.compile(r"[^0-9*#]")
IVR = "ivr"
"""Name of the flow."""


@dataclass(slots=True)
class Menus:
    """``folders``: a later one's file wins over an earlier one's of the same name."""

    folders: Sequence[Path]
    flows: Collection[str] | None = None
    book: Book = field(default_factory=Book)

    def load(self) -> None:
        """At the start: a menu that is wrong is left out, and the log says where. An engine with one menu less is better
        than none."""
        self.book, problems = check.load(self.folders, self.flows)
        _tell(problems)

    def reload(self) -> Sequence[Problem]:
        """Take changed files in, if they are all good; else all stays as it is. Calls keep the menus they began with."""
        book, problems = check.load(self.folders, self.flows)
        if problems:
            _tell(problems)
        else:
            self.book = book
            log.info("menus", read=sorted(book.entries))
        return problems

    def of_number(self, number: str) -> str | None:
        """The menu that a dialled number leads to."""
        return self.book.numbers.get(number)


def _tell(problems: Sequence[Problem]) -> None:
    for each in problems:
        log.error("bad_menu", problem=str(each))


@dataclass(slots=True)
class Ivr:
    menus: Menus
    post: Post = field(default_factory=NoPost)

    async def __call__(self, session: Session, params: Mapping[str, Any]) -> str | None:
        """``params``: ``menu``, else ``dialed``, names it. After a restart the last menu is entered again; whoever talks
        goes on talking."""
        book = self.menus.book
        caller = session.call.first
        if not await answer(session, caller):
            return None
        voice = CallVoice(session, caller, self.post, facts_of(params))
        keys.flush(session, caller)
        if session.resumed and session.call.step == ROOM:
            return await voice.flow(CONFERENCE, {})
        if session.resumed and (target := await voice.target()) is not None:
            return await voice.talk(target)
        path = _path(book, session, str(params.get("menu") or params.get("dialed", "")))
        if not path:
            await play(session, caller, *session.services.prompts["error"], longest=15)
            return "no_menu"
        result = await Runner(voice, book).run(*path)
        await hangup(session, caller)
        return result


def facts_of(params: Mapping[str, Any]) -> Mapping[str, str]:
    """What a stranger sent as its number ends in texts: digits alone."""
    return {name: _OTHER.sub("", str(params.get(key, ""))) for name, key in (("caller", "from"), ("dialed", "dialed"))}


def _path(book: Book, session: Session, name: str) -> list[str]:
    """Where the caller is: the menu it came to, and the one it was in when the engine went away."""
    first = name if name in book.entries else book.numbers.get(name, "")
    last = (session.call.step or "").removeprefix(STEP)
    path = [full for full in (first, last) if full in book.entries]
    return list(dict.fromkeys(path))
