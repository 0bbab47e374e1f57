"""Numbers for tests: each one new, and its last four digits what the test wants of the callee (CONTRACT §4)."""

from itertools import count, cycle

from engine.embedded.carrier import early_tone_hz, tone_hz

__all__ = ["BUSY", "CONGESTION", "DECLINED", "EARLY_MEDIA", "RINGS_FOR_EVER", "SILENT", "UNALLOCATED", "UNAVAILABLE",
           "early_tone_hz", "ending", "plain", "tone_hz"]  # fmt: skip

_SERIAL = count(1)

BUSY, DECLINED, UNALLOCATED, UNAVAILABLE, CONGESTION = "0486", "0603", "0404", "0480", "0503"
RINGS_FOR_EVER = "0000"
SILENT = "6001"
EARLY_MEDIA = "6002"

_PLAIN_RANGE = (7000, 10_000)
_TALK_TO_PLAIN = ("2001", "2002", "2004", "2006", "3001", "3002", "3003", "3005", "3006", "3007", "3009", "3030", SILENT,
                  EARLY_MEDIA)  # fmt: skip
_SAME, _NEAR = 15, 55
"""Hz."""


def ending(digits: str) -> str:
    """A number that nobody else has got, Indian in form, with these last four digits."""
    return f"9198{next(_SERIAL) % 10_000:04d}{digits}"


def plain() -> str:
    """A callee that rings for 0.3 s, answers and talks with a tone of its own: another one than the scripted callees that
    tests let it talk to, and far from those of the last plain numbers."""
    return ending(next(_PLAIN))


def _plain_endings() -> list[str]:
    scripted = [tone_hz(each) for each in _TALK_TO_PLAIN]
    last: list[float] = []
    endings = []
    for number in range(*_PLAIN_RANGE):
        tone = tone_hz(str(number))
        if all(abs(tone - other) > _SAME for other in scripted) and all(abs(tone - other) > _NEAR for other in last):
            endings.append(str(number))
            last = [*last[-3:], tone]
    return endings


_PLAIN = cycle(_plain_endings())
