"""The streaming detector on sounds made by formula: what it says, when, and what it never does."""

import time

import numpy as np
import pytest

from engine.media.detect.detector import Detector, Limits, Who
from engine.media.detect.features import NAMES, features, understood
from engine.media.detect.frames import HERTZ, LEVEL, SHARE, Frames, decode
from engine.media.detect.model import trained
from engine.testkit import rtp
from tests.unit.detect_sounds import line, quiet, speech, tone

LIMIT = 2.4


def hear(sound, *, piece=160, until=None, **limits):
    """The verdict on it, and the detector; what follows the sound is silence."""
    detector = Detector(Limits(**{"limit": LIMIT, **limits}))
    sound += b"\xff" * 8000 * 4
    for at in range(0, len(sound), piece):
        detector.feed(sound[at : at + piece])
        if detector.over if until is None else detector.seconds >= until:
            break
    return detector.verdict, detector


HELLO = (quiet(0.5), speech(0.5), quiet(3))
GREETING = (quiet(0.4), speech(5.0, seed=3), quiet(0.5))


def test_a_short_word_and_silence_is_a_person_and_told_before_the_limit():
    verdict, _ = hear(line(*HELLO))
    assert verdict.who is Who.HUMAN
    assert verdict.seconds < LIMIT - 0.3
    assert verdict.confidence > 0.9


def test_who_goes_on_talking_is_a_machine_at_the_limit():
    verdict, _ = hear(line(*GREETING))
    assert verdict.who is Who.MACHINE
    assert verdict.seconds <= LIMIT + 0.1


@pytest.mark.parametrize("level", [-36, -28, -12])
@pytest.mark.parametrize("noise", [-75, -58])
def test_neither_level_nor_noise_changes_that(level, noise):
    short = line(quiet(0.4), speech(0.6, dbfs=level, seed=5), quiet(3), noise=noise)
    long = line(quiet(0.4), speech(5, dbfs=level, seed=6), noise=noise)
    assert hear(short)[0].who is not Who.MACHINE
    assert hear(long)[0].who is Who.MACHINE


def test_silence_is_unknown_at_the_limit():
    verdict, _ = hear(line(quiet(4)))
    assert (verdict.who, verdict.reason) == (Who.UNKNOWN, "silence")
    assert verdict.seconds == pytest.approx(LIMIT, abs=0.05)


@pytest.mark.parametrize("limit", [0.6, 1.2, 2.4, 4.0])
@pytest.mark.parametrize("sound", [HELLO, GREETING, (quiet(5),)])
def test_nobody_waits_longer_than_the_limit(limit, sound):
    assert hear(line(*sound), limit=limit)[0].seconds <= limit + 0.021


def test_sound_that_begins_late_does_not_lengthen_it():
    detector = Detector(Limits(limit=LIMIT), late=0.5)
    sound = line(*GREETING)
    for at in range(0, len(sound), 160):
        if detector.feed(sound[at : at + 160]):
            break
    assert detector.verdict.seconds == pytest.approx(LIMIT, abs=0.05)
    assert detector.seconds - detector._late < LIMIT


def test_called_fax():
    verdict, _ = hear(line(quiet(0.8), tone(3, 2100)))
    assert verdict.who is Who.FAX
    assert verdict.seconds < 1.6


def test_called_fax_with_phase_reversals():
    ced = tone(3, 2100)
    ced *= np.where((np.arange(len(ced)) // 3600) % 2, -1, 1)
    assert hear(line(quiet(0.8), ced))[0].who is Who.FAX


def test_fax_whose_tone_begins_just_before_it_is_decided_is_heard_out():
    verdict, _ = hear(line(quiet(2.1), tone(3, 2100)), limit=3.0)
    assert verdict.who is Who.FAX
    assert verdict.seconds < 2.8


def test_calling_fax():
    assert hear(line(quiet(0.6), tone(0.5, 1100), quiet(3)))[0].who is Who.FAX


def test_a_word_before_the_tone_is_no_fax():
    verdict, _ = hear(line(quiet(0.2), speech(0.5), quiet(0.2), tone(3, 2100)))
    assert verdict.who is not Who.FAX


@pytest.mark.parametrize("hertz", [400, 620, 1000, 1400, 1900])
@pytest.mark.parametrize("length", [0.2, 0.5, 1.0])
def test_a_beep_is_a_machine_wherever_it_comes(hertz, length):
    verdict, _ = hear(line(quiet(0.7), tone(length, hertz), quiet(3)))
    assert (verdict.who, verdict.reason) == (Who.MACHINE, "beep")


@pytest.mark.parametrize("hertz", [440, 880, 1000, 1500])
def test_beep_and_end_of_a_greeting_are_found(hertz):
    sound = line(quiet(0.4), speech(4.0, seed=4), quiet(0.5), tone(0.4, hertz), quiet(3))
    verdict, _ = hear(sound)
    assert verdict.who is Who.MACHINE
    assert verdict.beep_at == pytest.approx(4.9, abs=0.1)
    assert verdict.greeting_end == pytest.approx(4.4, abs=0.25)


def test_a_greeting_without_beep_ends_when_it_is_quiet():
    verdict, detector = hear(line(quiet(0.4), speech(4.0, seed=4), quiet(4)))
    assert verdict.beep_at is None
    assert verdict.greeting_end == pytest.approx(4.4, abs=0.25)
    assert detector.seconds < 7.2


NO_BEEPS = {
    "tone without end": (quiet(0.1), tone(6, 1390)),
    "ringing tone of two, left over": (tone(0.8, 440, 480), quiet(4)),
    "ringing tone of one, left over": (tone(0.8, 425), quiet(4)),
    "key": (quiet(0.9), tone(0.25, 770, 1336), quiet(4)),
    "chords": tuple(tone(0.4, 262 * 2**(n % 5 / 12), 330 * 2 ** (n % 5 / 12), 392 * 2 ** (n % 5 / 12)) for n in range(9)),
    "melody": tuple(tone(0.3, 523 * 2 ** (step / 12)) for step in (0, 4, 7, 4, 5, 2, 0, 7, 4, 0, 4, 7)),
}  # fmt: skip


@pytest.mark.parametrize("what", NO_BEEPS)
def test_what_is_no_machine(what):
    assert hear(line(*NO_BEEPS[what]))[0].who in {Who.HUMAN, Who.UNKNOWN}


def test_pieces_of_any_size_give_the_same():
    sound = line(*GREETING)
    seconds = {hear(sound, piece=piece)[0].who for piece in (1, 37, 160, 320, 4000)}
    assert seconds == {Who.MACHINE}


def test_frames_measure_a_tone():
    frames = Frames()
    frames.feed(line(tone(1, 1010, dbfs=-20), noise=-80))
    middle = frames.rows[5:40]
    assert np.all(np.abs(middle[:, HERTZ] - 1010) < 3)
    assert np.all(np.abs(middle[:, LEVEL] + 20) < 1)
    assert np.all(middle[:, SHARE] > 0.95)


def test_sound_is_decoded_as_the_standard_says():
    every = bytes(range(256))
    assert np.allclose(decode(every), rtp.decode(every))


def test_features_have_their_names():
    frames = Frames()
    frames.feed(line(*GREETING))
    values = dict(zip(NAMES, features(understood(frames.rows)), strict=True))
    assert values["onset"] == pytest.approx(0.4, abs=0.06)
    assert values["longest_phrase"] == pytest.approx(5, abs=0.3)
    assert values["quiet_since"] == pytest.approx(0.5, abs=0.1)


def test_the_model_is_one_of_these_features():
    model = trained()
    assert model.asked.max() < len(NAMES)
    assert 0 < model.probability(np.zeros(len(NAMES))) < 1
    assert 0.5 <= model.surely < 1


def test_it_costs_little():
    """At most 3 % of a core per call; slower or busier machines than ours have a tenfold margin."""
    sound = line(quiet(0.4), *(speech(4, seed=n) for n in range(5)))
    detector = Detector(Limits(limit=30))
    began = time.process_time()
    for at in range(0, len(sound), 160):
        detector.feed(sound[at : at + 160])
    assert (time.process_time() - began) / (len(sound) / 8000) < 0.3
