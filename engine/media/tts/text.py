"""What may be said: plain text, within Amazon Polly's limit, with pauses. Pure."""

import re
import unicodedata

from engine.errors import InvalidFields
from engine.media.tts.port import Pause, Script

LONGEST = 3000
"""Characters; what Amazon Polly bills at most for one request, taken for all engines."""
PAUSE = 0.5
"""Seconds of each comma after the first."""
LONGEST_PAUSE = 10.0

_TAG = re.compile(r"<[A-Za-z/!?]")
_PAUSES = re.compile(r",(?:\s*,)+")
_NO_CHARACTER = re.compile(r"[\ufdd0-\ufdef\ufff9-\uffff]")
"""Code points that XML does not take, and the like."""
_WHITE = "\t\n\r"


def script(text: str) -> Script:
    """``text`` in parts; two texts that sound the same give the same parts. Raises InvalidFields for ``text``."""
    plain = " ".join(unicodedata.normalize("NFC", _printable(text)).split())
    if _TAG.search(plain):
        raise InvalidFields({"text": "is plain text: SSML and other tags are not allowed"})
    if len(plain) > LONGEST:
        raise InvalidFields({"text": f"has {len(plain)} characters; at most {LONGEST} are allowed"})
    if not any(char.isalnum() for char in plain):
        raise InvalidFields({"text": "has nothing to say"})
    return _parts(plain)


def spell(code: str) -> str:
    """A code as text whose characters are heard one by one: ``1987`` → ``1,, 9,, 8,, 7``."""
    return ",, ".join(char for char in code if not char.isspace())


def _printable(text: str) -> str:
    """Without line ends and tabs. Control characters, lone surrogates and such could steer an engine."""
    flat = text.translate(dict.fromkeys(map(ord, _WHITE), " "))
    wrong = next(filter(_unspeakable, flat), None)
    if wrong is not None:
        raise InvalidFields({"text": f"has the character U+{ord(wrong):04X}, which can't be spoken"})
    return flat


def _unspeakable(char: str) -> bool:
    return unicodedata.category(char) in ("Cc", "Cs", "Co") or _NO_CHARACTER.match(char) is not None


def _parts(plain: str) -> Script:
    parts: list[str | Pause] = []
    at = 0
    for match in _PAUSES.finditer(plain):
        parts += _said(plain[at : match.start()])
        parts.append(Pause(min(PAUSE * (match[0].count(",") - 1), LONGEST_PAUSE)))
        at = match.end()
    return (*parts, *_said(plain[at:]))


def _said(piece: str) -> list[str | Pause]:
    """Nothing for a piece in which nothing is to be heard, such as a full stop behind a pause."""
    piece = piece.strip()
    return [piece] if any(char.isalnum() for char in piece) else []
