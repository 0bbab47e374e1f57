"""The documents' words for how to speak, and what they mean here.

Amazon Polly has rates and pitches as words of its own; the percentages are for engines that want numbers. Volumes are
ours for every engine, because each sound is brought to one level first.
"""

from collections.abc import Mapping

from engine.errors import InvalidFields

RATES: Mapping[str, int] = {"x-slow": 60, "slow": 80, "medium": 100, "fast": 125, "x-fast": 160}
"""Percent of the voice's own speed."""
HIGHEST_RATE = 100
"""Of Media.TTS.Options, where 50 is normal."""
PITCHES: Mapping[str, int] = {"x-low": 70, "low": 85, "medium": 100, "high": 110, "x-high": 120}
"""Percent of the voice's own pitch."""
VOLUMES: Mapping[str, float | None] = {
    "silent": None,
    "x-soft": -10.0,
    "soft": -4.0,
    "medium": 0.0,
    "loud": 3.5,
    "x-loud": 7.0,
}
"""Decibels beside the normal level; None is silence."""
ENGINE_TYPES = ("standard", "neural")


def word(value: str) -> str:
    """An enum word as the documents mean it: their samples have ``x- soft``."""
    return "".join(value.split()).lower()


def quoted(words: Mapping[str, object]) -> str:
    return ",".join(f"'{each}'" for each in words)


def rate_percent(value: str | int) -> int:
    """Percent for a word, or for 1 to 100 where 50 is normal: half as fast at 1, twice at 100. Raises InvalidFields."""
    if isinstance(value, str) and value.strip().isascii() and value.strip().isdigit():
        value = int(value)
    if isinstance(value, int):
        if isinstance(value, bool) or not 1 <= value <= HIGHEST_RATE:
            raise InvalidFields({"rate": f"min:1 max:{HIGHEST_RATE}"})
        return round(100 * 2 ** ((value - 50) / 50))
    if word(value) not in RATES:
        raise InvalidFields({"rate": f"Allowed value: {quoted(RATES)}"})
    return RATES[word(value)]


def pitch_percent(value: str) -> int:
    """Raises InvalidFields."""
    if word(value) not in PITCHES:
        raise InvalidFields({"pitch": f"Allowed values: {quoted(PITCHES)}"})
    return PITCHES[word(value)]


def volume_word(value: str) -> str:
    """Raises InvalidFields."""
    if word(value) not in VOLUMES:
        raise InvalidFields({"volume": f"Allowed values: {quoted(VOLUMES)}"})
    return word(value)


def wants_neural(value: str) -> bool:
    """Raises InvalidFields."""
    if word(value) not in ENGINE_TYPES:
        raise InvalidFields({"tts_engine_type": f"Allowed values: {', '.join(ENGINE_TYPES)}"})
    return word(value) == "neural"
