"""The corpus: its parts share nothing, and a seed gives the same clips. A stand-in speaks, so that no library is needed."""

from itertools import product

import numpy as np
import pytest

from tests.bench.detect import corpus, sounds
from tests.bench.detect.corpus import ACCENTS, BEEPS, KIND_OF, PARTS, SHARES, TEXTS, VARIANTS, make
from tests.bench.detect.report import Guess, judged


def speak(voice, rate, pitch, script):
    """A hum as long as the text."""
    when = np.arange(int(len(script[0]) * 0.06 * 16000)) / 16000
    return 16000, (8000 * np.sin(2 * np.pi * (100 + pitch) * when)).astype("<i2").tobytes()


def sentences(part):
    scripts = [
        script
        for texts in TEXTS[part].values()
        for name in ("short", "medium", "long", "twice", "greeting", "brief")
        for script in getattr(texts, name)
    ]
    return {piece.lower() for script in scripts for piece in script if isinstance(piece, str)}


def accents(part):
    return {accent for of_language in ACCENTS[part].values() for accent in of_language}


@pytest.mark.parametrize(
    "of_part",
    [
        accents,
        lambda part: set(VARIANTS[part]),
        lambda part: set(BEEPS[part]),
        lambda part: set(sounds.NOISES[part]),
        lambda part: set(sounds.MUSIC[part]),
        lambda part: {sounds.RINGBACK[part]},
    ],
)
def test_the_parts_share_nothing(of_part):
    train, held_out = (of_part(part) for part in PARTS)
    assert train
    assert held_out
    assert not train & held_out


def test_the_parts_share_no_sentence():
    train, held_out = (sentences(part) for part in PARTS)
    assert not train & held_out


def test_a_seed_gives_the_same_clips():
    once, again = (list(make("held-out", 30, 5, speak=speak)) for _ in range(2))
    assert all(np.array_equal(a.samples, b.samples) and a.facts == b.facts for a, b in zip(once, again, strict=True))
    other = list(make("held-out", 30, 6, speak=speak))
    assert not all(np.array_equal(a.samples, b.samples) for a, b in zip(once, other, strict=True))


def test_there_are_enough_clips_of_each_kind():
    scenes = list(corpus.scenes(400, SHARES))
    assert len(scenes) >= 300
    assert set(scenes) == set(SHARES)
    kinds = [KIND_OF[scene] for scene in scenes]
    assert min(kinds.count("human"), kinds.count("machine")) > 150
    assert kinds.count("fax") >= 20


def test_clips_are_what_a_telephone_carries():
    for clip in make("train", 40, 3, speak=speak, wild=True):
        assert clip.samples.dtype == np.int16
        assert 5 * 8000 <= len(clip.samples) <= 60 * 8000
        loud = np.abs(clip.samples.astype(int)).max()
        assert loud > 100 or clip.scene == "silence"


def test_what_is_scored():
    said = product(("human", "machine"), ("human", "machine", "unknown"))
    guesses = [Guess("c", "s", kind, guess, 1.0) for kind, guess in said] + [Guess("c", "s", "fax", "machine", 2.0)]
    result = judged(guesses)
    assert result["errors"] == 3, "a person called machine, a machine called human, a machine unknown"
    assert result["humans_called_machine"] == pytest.approx(1 / 3, abs=1e-3)
    assert result["fax_found"] == 0
