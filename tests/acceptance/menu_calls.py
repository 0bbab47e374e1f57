"""Menus whose every prompt is a tone of its own, and callers who press keys in them."""

import struct
from dataclasses import dataclass

import numpy as np

from engine.testkit import audio, numbers
from engine.testkit.client import leg_of
from engine.testkit.poll import eventually

TONES = {
    name: 700.0 + 130 * n
    for n, name in enumerate(
        ("hello", "choose", "invalid", "missing", "one", "inner", "thanks", "closed", "open", "whisper", "bye", "new")
    )
}
"""Hertz."""
LASTS = 0.6
"""Seconds of each."""
RINGS, ANSWERS = "919811110000", "919811117777"
"""For ever, and at once."""
AGENT = "919811118888"
NUMBER, EXTENSION = "15557000777", "600"
HASTY = "15557000776"
"""The same menu, with a second for each key."""

MENU = f"""\
number: [{NUMBER}, "{EXTENSION}"]
hours:
  never: {{open: {{mon: []}}}}
greeting: {{play: hello}}
prompt: {{play: choose}}
invalid: {{play: invalid}}
missing: {{play: missing}}
timeout: 5
keys:
  1: [play: one]
  2:
    - menu: {{name: inner, prompt: {{play: inner}}, timeout: 10, keys: {{1: [back]}}, missing: {{play: missing}}}}
  3:
    - voicemail: {{mail: someone@example.com, longest: 20, thanks: {{play: thanks}}}}
    - hangup
  4:
    - hours: {{of: never, open: [play: open], closed: [play: closed]}}
    - hangup
  5:
    - dial: {{to: [105, 101], ring: 10, whisper: {{play: whisper}}, failed: [play: bye, hangup]}}
  6:
    - flow: {{name: call_tracking, params: {{targets: "105, 101", welcome: Welcome., whisper: From the paper., ring: "10"}}}}
  7: [dial: {{to: {RINGS}, ring: 30}}]
  "*": [dial: {{to: [{RINGS}, {ANSWERS}], at_once: true}}]
  "#": [voicemail: {{mailbox: 103, prompt: {{play: thanks}}}}]
  0: [callback: {{agent: {AGENT}, after: 1, thanks: {{play: thanks}}}}, hangup]
  9: [hangup]
failed: [play: bye]
"""


HASTY_MENU = MENU.replace(f'[{NUMBER}, "{EXTENSION}"]', HASTY).replace("timeout: 5", "timeout: 1")


def install(stack, text=MENU, name="tones"):
    """Write the menu and its sounds where a user would."""
    folder = stack.state / "menus"
    folder.mkdir(exist_ok=True)
    for sound, hz in TONES.items():
        path = folder / f"{sound}.wav"
        if not path.exists():
            path.write_bytes(_wav(hz))
    (folder / f"{name}.yaml").write_text(text)


def _wav(hz):
    wave = np.sin(2 * np.pi * hz * np.arange(int(LASTS * 8000)) / 8000)
    data = (wave * 8000).astype("<i2").tobytes()
    head = struct.pack("<4sI4s4sIHHIIHH4sI", b"RIFF", 36 + len(data), b"WAVE", b"fmt ", 16, 1, 1, 8000, 16000, 2, 16,
                       b"data", len(data))  # fmt: skip
    return head + data


@dataclass
class Walked:
    """A call into the menu that is over."""

    call: dict
    cdr: dict
    samples: object
    story: str

    def count(self, name):
        """How often a prompt was heard to its end, about."""
        return round(audio.tone_seconds(self.samples, TONES[name]) / LASTS)

    def heard(self, *names):
        return all(audio.tone_seconds(self.samples, TONES[name]) >= LASTS / 2 for name in names)


async def begun(stack, caller, within=60.0):
    """The call of this caller, as soon as the engine has it."""

    async def look():
        known = [*await stack.api.calls("live"), *await stack.api.calls("ended")]
        return next((call for call in known if (leg_of(call, "caller") or {}).get("number") == caller), None)

    return await eventually(look, within=within, what=f"call from {caller}")


async def walk(stack, *, script=(), hangup_after=0, called=NUMBER, within=60.0):
    caller = numbers.plain()
    stack.dial_in(called, caller, script=script, hangup_after=hangup_after)
    call = await begun(stack, caller)
    return await over(stack, caller, call["request_id"], within)


async def over(stack, caller, request_id, within=60.0):
    call = await stack.api.wait_ended(request_id, within)
    heard = await stack.callee(caller)
    return Walked(call, await stack.api.cdr(request_id), heard.samples, await stack.api.story(request_id))
