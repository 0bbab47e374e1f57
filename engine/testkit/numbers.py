"""Numbers for tests: each one new, and its last four digits what the test wants of the callee (CONTRACT §4)."""

from itertools import count

from engine.embedded.carrier import early_tone_hz, tone_hz

__all__ = ["BUSY", "CONGESTION", "DECLINED", "EARLY_MEDIA", "RINGS_FOR_EVER", "SILENT", "UNALLOCATED", "UNAVAILABLE",
           "early_tone_hz", "ending", "plain", "tone_hz"]  # fmt: skip

_SERIAL = count(1)
_PLAIN = count()
_FIRST_PLAIN, _PLAIN_ENDINGS = 7000, 3000

BUSY, DECLINED, UNALLOCATED, UNAVAILABLE, CONGESTION = "0486", "0603", "0404", "0480", "0503"
RINGS_FOR_EVER = "0000"
SILENT = "6001"
EARLY_MEDIA = "6002"


def ending(digits: str) -> str:
    """A number that nobody else has got, Indian in form, with these last four digits."""
    return f"9198{next(_SERIAL) % 10_000:04d}{digits}"


def plain() -> str:
    """A callee that rings for 0.3 s, answers and talks with a tone of its own. Numbers that follow one another have
    tones far apart."""
    return ending(str(_FIRST_PLAIN + next(_PLAIN) % _PLAIN_ENDINGS))
