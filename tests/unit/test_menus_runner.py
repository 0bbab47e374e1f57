"""The way through a menu, as it goes in a call and in the terminal."""

from dataclasses import dataclass, field
from datetime import UTC, datetime

import pytest

from engine.flows.menus import check
from engine.flows.menus.runner import Runner
from engine.flows.menus.terminal import TerminalVoice

MENU = """\
greeting: Good day.
prompt: Press a key.
invalid: Wrong.
missing: Silent.
tries: 3
hours:
  office: {zone: Asia/Kolkata, open: {mon-fri: "09:00-17:00"}, holidays: [12-25]}
keys:
  1: [say: One.]
  2:
    - menu:
        prompt: Within.
        keys:
          1: [back]
          2: [repeat]
  3: [gather: {prompt: "Number?", into: room, digits: 3, tries: 2, failed: [say: No room.]}, say: "Room {room}."]
  4: [hours: {of: office, open: [say: Open.], closed: [say: Closed.]}]
  5: [language: de-DE, say: {en-US: Yes., de-DE: Ja.}]
  6: [voicemail: {mail: a@example.com, thanks: Thanks.}, hangup]
  7: [dial: {to: [101, 102], failed: [say: Nobody.]}]
  8: [callback: {mail: b@example.com}, mail: c@example.com]
  "*": [callback: {agent: 101, after: 90}]
  9: [hangup]
failed: [say: Enough.]
"""


@dataclass
class Typist:
    lines: list
    written: list = field(default_factory=list)
    at: datetime = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)

    async def walk(self, tmp_path, text=MENU):
        (tmp_path / "m.yaml").write_text(text)
        book = check.strict([tmp_path])
        voice = TerminalVoice(
            lambda: self.lines.pop(0) if self.lines else None,
            self.written.append,
            lambda: self.at,
            {"caller": "15550001234", "dialed": "600"},
        )
        return await Runner(voice, book).run("m")

    def said(self):
        return [line.split('"')[1] for line in self.written if '"' in line]


@pytest.mark.parametrize(
    ("lines", "said", "result"),
    [
        (["9"], ["Good day.", "Press a key."], "ended"),
        (["1", "9"], ["Good day.", "Press a key.", "One.", "Press a key."], "ended"),
        (["", "#", ""], ["Good day.", "Press a key.", "Silent.", "Press a key.", "Wrong.", "Press a key.", "Silent.",
                         "Enough."], "no_choice"),
        (["2", "2", "1", "9"], ["Good day.", "Press a key.", "Within.", "Within.", "Press a key."], "ended"),
        (["3", "123", "9"], ["Good day.", "Press a key.", "Number?", "Room 1,, 2,, 3.", "Press a key."], "ended"),
        (["3", "", "", "9"], ["Good day.", "Press a key.", "Number?", "Number?", "No room.", "Room .", "Press a key."],
         "ended"),
        (["4", "9"], ["Good day.", "Press a key.", "Open.", "Press a key."], "ended"),
        (["5", "9"], ["Good day.", "Press a key.", "Ja.", "Press a key."], "ended"),
        (["7", "n", "9"], ["Good day.", "Press a key.", "Nobody.", "Press a key."], "ended"),
        (["7", "y"], ["Good day.", "Press a key."], "connected"),
        ([], ["Good day.", "Press a key."], "left"),
        (["19"], ["Good day.", "Press a key.", "One."], "ended"),
    ],
)  # fmt: skip
async def test_keys_lead_where_the_file_says(tmp_path, lines, said, result):
    typist = Typist(lines)
    assert await typist.walk(tmp_path) == result
    assert typist.said() == said


@pytest.mark.parametrize(
    ("at", "said"),
    [
        (datetime(2026, 11, 23, 3, 29, tzinfo=UTC), "Closed."),
        (datetime(2026, 11, 23, 3, 30, tzinfo=UTC), "Open."),
        (datetime(2026, 12, 25, 5, 0, tzinfo=UTC), "Closed."),
    ],
)
async def test_opening_hours_go_by_the_clock_of_their_place(tmp_path, at, said):
    typist = Typist(["4", "9"], at=at)
    await typist.walk(tmp_path)
    assert typist.said()[2] == said


async def test_messages_mails_and_callbacks_are_asked_for(tmp_path):
    typist = Typist(["8", "6"])
    assert await typist.walk(tmp_path) == "ended"
    told = "\n".join(typist.written)
    assert "(call back 15550001234)" in told
    assert "mail to b@example.com: Call back 15550001234" in told
    assert "mail to c@example.com: Call from 15550001234: 15550001234 called 600." in told
    assert "sent to a@example.com" in told
    assert typist.said()[-1] == "Thanks."


async def test_an_agent_calls_back(tmp_path):
    typist = Typist(["*"])
    await typist.walk(tmp_path)
    assert "(call back 15550001234 by 101, in 90 s)" in typist.written


async def test_keys_of_several_digits(tmp_path):
    typist = Typist(["12", "1#", "13"])
    text = "prompt: Which?\ninvalid: Wrong.\nkeys:\n  1: [say: One.]\n  12: [say: Twelve.]\n"
    assert await typist.walk(tmp_path, text) == "left"
    assert typist.said() == ["Which?", "Twelve.", "Which?", "One.", "Which?", "Wrong.", "Which?"]


async def test_a_reload_leaves_a_walk_where_it_is(tmp_path):
    from engine.flows.menus.flow import Menus

    (tmp_path / "m.yaml").write_text(MENU)
    menus = Menus([tmp_path])
    menus.load()
    before = menus.book
    (tmp_path / "m.yaml").write_text(MENU.replace("Good day.", "Good night."))
    assert menus.reload() == []
    assert menus.book is not before
    assert before.entries["m"].menu.greeting[0].any == "Good day."
    good = menus.book
    (tmp_path / "m.yaml").write_text("prompt: [")
    (problem,) = menus.reload()
    assert (problem.line, problem.file.name) == (1, "m.yaml")
    assert menus.book is good


async def test_texts_are_rendered_before_anybody_calls(tmp_path):
    from engine.flows.menus.ahead import render
    from engine.media.tts.port import Spoken

    said = []

    class Voice:
        async def speak(self, speech):
            said.append((speech.text, speech.language))
            return Spoken("sound:x", None, 1.0)

    (tmp_path / "m.yaml").write_text(MENU)
    await render(check.strict([tmp_path]), Voice())
    assert len(said) == len(set(said))
    assert {
        ("Wrong.", "en-US"),
        ("Within.", "en-US"),
        ("Yes.", "en-US"),
        ("Ja.", "de-DE"),
        ("No room.", "en-US"),
    } <= set(said)
    assert not any("{" in text for text, _ in said), "what a caller typed is not known yet"
