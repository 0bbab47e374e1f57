"""The carrier simulator: a second Asterisk that plays the telephone network, and the front that owns its port.

What a callee does follows from the last four digits of its number (CONTRACT.md §4). What it heard and pressed is kept
in the results folder, one pair per call: ``{number}-{uniqueid}.wav`` has what came from the engine since the answer
(8 kHz mono, nothing of the callee's own sound), ``{number}-{uniqueid}.json`` says the rest and is written when the
call ends::

    {"number": "918000680002", "caller": "15168148111", "answered": true, "started": 1732233600.123456,
     "answered_at": 1732233600.456, "ended": 1732233605.2, "heard": "918000680002-1732233600.7.wav",
     "received_dtmf": "12", "pressed": "", "tone_hz": 1750, "call_id": "…"}

Times are seconds since the epoch; ``answered_at`` and ``heard`` are null for a call that was not answered;
``received_dtmf`` are the keys the callee heard, ``pressed`` those it pressed itself. While a file ``no-recording``
lies in the results folder nothing is kept, for benches. A number whose ending stands in no rule plays
``clips/{number}.wav`` of the results folder (8 kHz mono, 16 bit) where there is one, and listens.
"""

import json
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import jinja2

from engine import resources
from engine.embedded.carrier_front import CarrierFront
from engine.errors import ConfigError, UnsafeValue
from engine.telephony.provision import Folders, conf_value, host_port, write_private

__all__ = ["CarrierFront", "Heard", "early_tone_hz", "place_inbound", "render_carrier", "results", "tone_hz"]

_TEMPLATES = Path(__file__).resolve().parent / "carrier_conf"
_SHARED = ("acl.conf", "ccss.conf", "cdr.conf", "features.conf", "pjproject.conf", "stasis.conf", "udptl.conf")
"""Files of ``asterisk-conf`` that say "nothing of this here" and do so for the simulator too."""
_UNSAFE_IN_DIALPLAN = re.compile(r'[,;()$"\'=|\\&^{}\[\]]')
_serial = count(1)


@dataclass(frozen=True)
class Heard:
    """One kept call; ``wav`` is None when it was not answered."""

    number: str
    caller: str
    answered: bool
    started: float
    answered_at: float | None
    ended: float
    wav: Path | None
    received_dtmf: str
    pressed: str
    tone_hz: int
    call_id: str


def tone_hz(number: str) -> int:
    """Hertz of the tone that the callee ``number`` talks with: 1010 to 2000 in steps of 10, by the last four digits.

    All tones lie within one octave, so that none is a harmonic of another; neighbouring numbers are far apart
    (…01 and …02 by 370 Hz, …0001 and …3001 by 100 Hz); none is near the ringing, busy and DTMF row tones below
    1 kHz. The simulator's dialplan computes the same (``carrier_conf/extensions.conf``, context ``start``).
    """
    digits = f"0000{number}"[-4:]
    return 1010 + 10 * ((37 * int(digits[2:]) + 13 * int(digits[:2])) % 100)


def early_tone_hz(number: str) -> float:
    """Hertz of a callee's early media (numbers ending 6002): an octave below its talking tone, 505 to 1000."""
    return tone_hz(number) / 2


def render_carrier(
    folders: Folders, sip: str, rtp: tuple[int, int], results: Path, trunk_peer: str, *, public: str | None = None
) -> None:
    """Write the simulator's configuration under ``folders.etc`` and make its folders.

    ``sip`` is the ``host:port`` it binds, ``public`` the one that CarrierFront owns before it (None: no front),
    ``trunk_peer`` where the engine's Asterisk takes calls. Raises ConfigError when ``results`` has a character that
    can't stand in a dialplan.
    """
    if _UNSAFE_IN_DIALPLAN.search(str(results)):
        raise ConfigError(f"{results}: the state folder's path must have none of , ; ( ) $ \" ' = | \\ & ^ {{ }} [ ]")
    public_host, public_port = host_port(public or sip)
    context: dict[str, Any] = {
        "folders": folders,
        "sip": sip,
        "sip_host": host_port(sip)[0],
        "public": public or sip,
        "public_host": public_host,
        "public_port": public_port,
        "inbound_via": public or trunk_peer,
        "peer_host": host_port(trunk_peer)[0],
        "rtp_first": rtp[0],
        "rtp_last": rtp[1],
        "results": results,
    }
    folders.create()
    results.mkdir(parents=True, exist_ok=True)
    for name in _SHARED:
        write_private(folders.etc / name, (resources.folder("asterisk-conf") / name).read_text(encoding="utf-8"))
    for path in sorted(_TEMPLATES.glob("*.conf")):
        write_private(folders.etc / path.name, _fill(path.name, context))


def place_inbound(
    folders: Folders,
    number: str,
    called: str,
    *,
    script: Sequence[tuple[float, str]] = (),
    hangup_after: float = 0,
    wait: int = 60,
) -> Path:
    """Let the simulator call the engine: ``number`` calls ``called``; returns the call file, gone once it is taken.

    After the answer each step of ``script`` waits its seconds and presses its keys (which may be empty), the caller
    talking with its tone; ``hangup_after`` seconds after the answer it hangs up (0: never). ``wait``: seconds it lets
    it ring. What the caller heard is kept like a callee's, under ``number``. Raises UnsafeValue.
    """
    if not re.fullmatch(r"\d{3,15}", number) or not re.fullmatch(r"\+?\d{3,15}", called):
        raise UnsafeValue("a call into the engine is from digits to digits")
    if any(not re.fullmatch(r"[0-9*#A-D]*", keys) for _, keys in script):
        raise UnsafeValue("only keys of a keypad can be pressed")
    steps = "&".join(f"{seconds:g}:{keys}" for seconds, keys in script)
    text = (
        f"Channel: PJSIP/{called}@engine\nCallerID: {number} <{number}>\nMaxRetries: 0\nWaitTime: {wait}\n"
        f"Context: caller\nExtension: s\nPriority: 1\n"
        f"Setvar: number={number}\nSetvar: caller={number}\nSetvar: script={steps}\n"
        f"Setvar: hangup_after={hangup_after:g}\n"
    )
    name = f"{number}-{time.time_ns()}-{next(_serial)}.call"
    partial = folders.spool / "tmp" / name
    partial.parent.mkdir(parents=True, exist_ok=True)
    partial.write_text(text, encoding="ascii")
    return partial.rename(folders.spool / "outgoing" / name)


def results(folder: Path, number: str | None = None) -> list[Heard]:
    """Calls kept in the results folder, of ``number`` or of all, in the order they began.

    A file that is still being written is left out: it is there at the next look.
    """
    found = (_read(path) for path in folder.glob(f"{number or '*'}-*.json"))
    return sorted((heard for heard in found if heard), key=lambda heard: heard.started)


def _read(path: Path) -> Heard | None:
    try:
        raw: Mapping[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    rest = {key: raw[key] for key in raw if key != "heard"}
    return Heard(**rest, wav=path.with_name(raw["heard"]) if raw["heard"] else None)


def _fill(name: str, context: Mapping[str, Any]) -> str:
    environment = jinja2.Environment(  # noqa: S701 - not HTML: conf_value escapes for Asterisk's reader
        loader=jinja2.FileSystemLoader(_TEMPLATES),
        undefined=jinja2.StrictUndefined,
        finalize=conf_value,
        keep_trailing_newline=True,
    )
    try:
        return environment.get_template(name).render(context)
    except UnsafeValue as error:
        raise ConfigError(f"{name}: {error}") from error
