"""The streaming detector: live sound in, one verdict out, and after it the end of the greeting and the beep.

What stands beyond doubt (a fax's tone, a beep) decides at once; then the model's odds: a person as soon as it is safe,
after 2.4 s what is likelier. What is in doubt then is heard on, up to the limit. Whoever is silent, or plays music, is
unknown and to be treated as a person.
"""

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from engine.media.detect.activity import Tone
from engine.media.detect.features import Heard, features, understood
from engine.media.detect.frames import PER_SECOND, Frames
from engine.media.detect.model import Model, trained


class Who(StrEnum):
    HUMAN = "human"
    MACHINE = "machine"
    FAX = "fax"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Verdict:
    """``seconds``: when it was reached, ``beep_at`` and ``greeting_end``: all since the answer. ``reason``: fax_tone,
    beep, speech, silence, tone, limit."""

    who: Who
    confidence: float
    seconds: float
    reason: str
    greeting_end: float | None = None
    beep_at: float | None = None


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds after the answer. At ``usual`` it is decided, unless it is in doubt who speaks, at ``limit`` in any case.
    ``human`` and ``machine``: probabilities of a machine below and above which it is decided before ``usual``;
    ``doubt``: between which it is heard on."""

    limit: float = 3.0
    usual: float = 2.36
    human: float = 0.03
    machine: float = 0.99
    doubt: tuple[float, float] = (0.5, 0.87)


SURE: Final = 0.97
"""Confidence where a tone decides."""
LOOK_EVERY: Final = 5
"""Frames between two looks: 0.1 s."""
LOOK_IN_DOUBT: Final = 2
FIRST_LOOK: Final = 0.4
QUIET_AFTER_SPEECH: Final = 0.5
"""Seconds of silence without which nobody is taken for a person before the limit."""
LEAST_SPEECH: Final = 0.12
LOOK_BACK: Final = 8 * PER_SECOND
"""Frames looked at; the greeting's end needs no more."""

CED: Final = (2070.0, 2130.0)
"""Hertz of the called fax's tone (T.30: 2100 ± 15)."""
CNG: Final = (1062.0, 1138.0)
"""Hertz of the calling fax's tone (T.30: 1100 ± 38), half a second long."""
CED_SECONDS: Final = 0.4
CNG_SECONDS: Final = (0.4, 0.62)
BEEP_HERTZ: Final = (300.0, 2600.0)
BEEP_SECONDS: Final = (0.14, 1.6)
QUIET_AFTER_BEEP: Final = 6
"""Frames; a melody goes on at once."""
GREETING_OVER: Final = 2.2
"""Seconds of silence after which a greeting without beep is over."""


class Detector:
    """``feed`` it µ-law sound as it comes. ``late``: seconds after the answer at which the sound begins."""

    def __init__(self, limits: Limits | None = None, *, late: float = 0.0, model: Model | None = None) -> None:
        self._limits = limits or Limits()
        self._late = late
        self._model = model or trained()
        self._frames = Frames()
        self._looked = 0
        self.verdict: Verdict | None = None

    @property
    def seconds(self) -> float:
        """Since the answer."""
        return self._late + self._frames.seconds

    def feed(self, ulaw: bytes) -> Verdict | None:
        """Take sound in; the verdict once there is one. It is amended by the greeting's end and the beep."""
        self._frames.feed(ulaw)
        every = LOOK_EVERY if self.verdict or self.seconds < self._limits.usual else LOOK_IN_DOUBT
        if self._frames.count - self._looked >= every or self._due():
            self._looked = self._frames.count
            self._look()
        return self.verdict

    def conclude(self) -> Verdict:
        """The verdict, now: of what was heard so far, if it was not reached before."""
        if self.verdict is None:
            heard = understood(self._frames.rows)
            self.verdict = self._at_limit(self._model.probability(features(heard)), heard)
        return self.verdict

    @property
    def over(self) -> bool:
        """Nothing more will be learned: no machine, or its beep or the end of its greeting was heard."""
        verdict = self.verdict
        return verdict is not None and (verdict.who is not Who.MACHINE or verdict.greeting_end is not None)

    def _due(self) -> bool:
        """A moment to decide in has come since the last look."""
        looked = self._late + self._looked / PER_SECOND
        moments = (self._limits.usual, self._limits.limit)
        return self.verdict is None and any(looked < moment <= self.seconds for moment in moments)

    def _look(self) -> None:
        first = max(0, self._frames.count - LOOK_BACK)
        heard = understood(self._frames.rows[first:])
        offset = self._late + first / PER_SECOND
        if self.verdict is None:
            self.verdict = self._decided(heard)
        if self.verdict is not None and not self.over:
            self.verdict = _ended(self.verdict, heard, offset, self.seconds)

    def _decided(self, heard: Heard) -> Verdict | None:
        now, limits = self.seconds, self._limits
        if fax(heard):
            return Verdict(Who.FAX, SURE, now, "fax_tone")
        if beep(heard):
            return Verdict(Who.MACHINE, SURE, now, "beep")
        if now < limits.limit and (self._frames.seconds < FIRST_LOOK or fax_begins(heard)):
            return None
        machine = self._model.probability(features(heard))
        if now < min(limits.usual, limits.limit):
            return self._early(machine, heard)
        doubtful = limits.doubt[0] < machine < limits.doubt[1] and _spoken(heard) >= LEAST_SPEECH
        return None if doubtful and now < limits.limit else self._at_limit(machine, heard)

    def _early(self, machine: float, heard: Heard) -> Verdict | None:
        """Before the limit: what is safe to say."""
        if _spoken(heard) < LEAST_SPEECH:
            return None
        if machine >= self._limits.machine:
            return Verdict(Who.MACHINE, machine, self.seconds, "speech")
        phrases = heard.phrases
        quiet = (len(heard.rows) - phrases[-1].end) / PER_SECOND if phrases else 0.0
        if machine <= self._limits.human and quiet >= QUIET_AFTER_SPEECH:
            return Verdict(Who.HUMAN, 1 - machine, self.seconds, "speech")
        return None

    def _at_limit(self, machine: float, heard: Heard) -> Verdict:
        now, odds = self.seconds, self._model.surely
        if _spoken(heard) < LEAST_SPEECH:  # the model was taught by speech; held tones are what it never heard
            return Verdict(Who.UNKNOWN, 0.5, now, "tone" if heard.tones else "silence")
        if machine >= odds:
            return Verdict(Who.MACHINE, machine, now, "limit")
        return Verdict(Who.HUMAN if machine < 1 - odds else Who.UNKNOWN, 1 - machine, now, "limit")


def _spoken(heard: Heard) -> float:
    return sum(phrase.seconds for phrase in heard.phrases)


def fax(heard: Heard) -> bool:
    """A fax's tone, before anybody spoke."""
    spoken = heard.phrases
    for tone in heard.tones:
        if spoken and spoken[0].start < tone.span.start and spoken[0].seconds >= LEAST_SPEECH:
            return False
        if CED[0] < tone.hertz < CED[1] and tone.span.seconds >= CED_SECONDS:
            return True
        lasted = CNG_SECONDS[0] <= tone.span.seconds <= CNG_SECONDS[1]
        if CNG[0] < tone.hertz < CNG[1] and lasted and _ended_in_quiet(heard, tone):
            return True
    return False


def fax_begins(heard: Heard) -> bool:
    if not heard.tones or heard.phrases:
        return False
    tone = heard.tones[-1]
    ours = CED[0] < tone.hertz < CED[1] or (CNG[0] < tone.hertz < CNG[1] and tone.span.seconds <= CNG_SECONDS[1])
    return ours and len(heard.rows) - tone.span.end <= QUIET_AFTER_BEEP


def beep(heard: Heard) -> Tone | None:
    """The last tone that can only be a beep: alone, of a beep's length, and quiet after it."""
    for tone in reversed(heard.tones):
        low, high = BEEP_SECONDS
        if not (BEEP_HERTZ[0] < tone.hertz < BEEP_HERTZ[1] and low <= tone.span.seconds <= high):
            continue
        if _ended_in_quiet(heard, tone) and not _melody(heard, tone):
            return tone
    return None


def _ended_in_quiet(heard: Heard, tone: Tone) -> bool:
    after = heard.rows[tone.span.end + 1 : tone.span.end + 1 + QUIET_AFTER_BEEP, 0]
    return len(after) == QUIET_AFTER_BEEP and bool((after < tone.level - 12).all())


def _melody(heard: Heard, tone: Tone) -> bool:
    """Other tones than this one were heard."""
    return any(abs(other.hertz - tone.hertz) > 30 for other in heard.tones if other.span.seconds >= 0.12)  # noqa: PLR2004


def _ended(verdict: Verdict, heard: Heard, offset: float, now: float) -> Verdict:
    """Of a machine, the beep and the end of the greeting, once they were heard."""
    if verdict.who is not Who.MACHINE:
        return verdict
    tone = beep(heard)
    last = heard.phrases[-1].end / PER_SECOND + offset if heard.phrases else None
    if tone is not None and (last is None or last <= offset + tone.span.end / PER_SECOND + 0.3):
        at = offset + tone.span.start / PER_SECOND
        return replace(verdict, beep_at=round(at, 2), greeting_end=round(min(last or at, at), 2))
    if last is not None and now - last >= GREETING_OVER:
        return replace(verdict, greeting_end=round(last, 2))
    return verdict
