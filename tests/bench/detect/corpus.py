"""The labelled corpus: clips as a telephone hears them from the moment of the answer, by seed.

Each part has its own voices, sentences, noises, music and ringback; nothing of one occurs in the other. A clip is
scored by ``kind``: human, machine or fax; whoever is silent, plays music or presses a key counts as human.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from engine.media.tts.sound import resample, speech_level, wav
from tests.bench.detect import sounds
from tests.bench.detect.sounds import RATE, Rng, Samples, seconds
from tests.bench.detect.texts import HELD_OUT, TRAIN, Script, Texts

ACCENTS = {
    "train": {"en": ("en-us", "en-gb-x-rp", "en-029"), "de": ("de",), "es": ("es", "es-419")},
    "held-out": {"en": ("en", "en-gb-scotland", "en-gb-x-gbclan", "en-us-nyc"), "fr": ("fr", "fr-be"), "it": ("it",)},
}
VARIANTS: Mapping[str, Sequence[str]] = {
    "train": (
        "Alex", "Andrea", "Denis", "Diogo", "Gene", "Hugo", "Jacky", "Lee", "Mario", "Mike", "Reed", "adam",
        "antonio", "benjamin", "caleb", "ed", "f1", "f3", "f5", "grandma", "ian", "iven", "iven3",
        "kaukovalta", "klatt", "klatt3", "klatt5", "linda", "m1", "m3", "m5", "m7", "max", "michel",
        "norbert", "pablo", "pedro", "rob", "sandro", "steph", "steph3", "victor", "whisper",
    ),
    "held-out": (
        "Alicia", "Annie", "Gene2", "Henrique", "Marco", "Michael", "Nguyen", "Storm", "anika", "aunty",
        "belinda", "boris", "david", "edward", "f2", "f4", "grandpa", "gustave", "iven2", "iven4", "john",
        "klatt2", "klatt4", "klatt6", "m2", "m4", "m6", "m8", "marcelo", "miguel", "mike2", "paul", "quincy",
        "robert", "shelby", "steph2", "travis", "zac", "whisperf",
    ),
}  # fmt: skip
TEXTS = {"train": TRAIN, "held-out": HELD_OUT}
LANGUAGES = {"train": ("en", "en", "en", "en", "de", "es"), "held-out": ("en", "en", "en", "en", "fr", "it")}
BEEPS = {"train": (400, 440, 620, 800, 880, 1000, 1250, 1400), "held-out": (425, 500, 700, 950, 1050, 1200, 1500, 1750)}
"""Hertz."""
VOICES = "voices"
"""The noise of others who talk."""
PARTS = ("train", "held-out")
KINDS = {
    "human": ("short", "medium", "long", "twice", "silence", "noise", "music", "key", "ringing, short"),
    "machine": ("greeting", "brief", "ringing, greeting", "greeting over music", "beep alone"),
    "fax": ("called fax", "calling fax"),
}
KIND_OF = {scene: kind for kind, of_it in KINDS.items() for scene in of_it}
SHARES: Mapping[str, float] = {
    "short": 26,
    "medium": 1.5,
    "long": 0.25,
    "twice": 6,
    "silence": 3,
    "noise": 3,
    "music": 4,
    "key": 1,
    "ringing, short": 2,
    "greeting": 36,
    "brief": 2,
    "ringing, greeting": 3,
    "greeting over music": 2,
    "beep alone": 2,
    "called fax": 5,
    "calling fax": 3,
}
"""Scene → how many of a hundred, as people at home answer; whole sentences (medium) and firms (long) are rare there."""
HARD: Mapping[str, float] = {"medium": 40, "long": 20, "brief": 20, "twice": 10, "music": 10}
"""What can hardly be told in the time: measured apart."""
TRAINING = {**SHARES, "medium": 4, "long": 0.5, "brief": 3, "noise": 4, "music": 5}


@dataclass
class Clip:
    """``speech`` are the spans of speech, in seconds; ``samples`` begin with the answer."""

    id: str
    part: str
    scene: str
    kind: str
    samples: npt.NDArray[np.int16] = field(repr=False)
    voice: str = ""
    text: str = ""
    noise: str = ""
    music: str = ""
    speech: tuple[tuple[float, float], ...] = ()
    beep_at: float | None = None
    beep_hz: float | None = None

    @property
    def facts(self) -> dict[str, object]:
        """All but the sound."""
        return {name: value for name, value in vars(self).items() if name != "samples"}


Speak = Callable[[str, int, int, Script], tuple[int, bytes]]
"""Voice, rate and pitch in percent, script → hertz and 16-bit samples."""


def espeak() -> Speak:
    from engine.media.tts.espeak_worker import Espeak

    engine = Espeak()

    def speak(voice: str, rate: int, pitch: int, script: Script) -> tuple[int, bytes]:
        engine.library.espeak_ng_SetRandSeed(1)  # some voices breathe, at random
        return engine.speak({"voice": voice, "rate": rate, "pitch": pitch, "script": list(script)})

    return speak


@dataclass
class Studio:
    """Makes the clips of one part. ``wild``: wider than life, to train with."""

    part: str
    rng: Rng
    speak: Speak
    wild: bool = False

    def clip(self, number: int, scene: str) -> Clip:
        kind = KIND_OF[scene]
        clip = Clip(f"{self.part}-{number:04d}", self.part, scene, kind, np.zeros(0, np.int16))
        last = scene.rpartition(",")[2].partition(" over ")[0]
        getattr(self, "_" + last.strip().replace(" ", "_"))(clip)
        return clip

    # -- scenes ----------------------------------------------------------------------------------------------------

    def _short(self, clip: Clip) -> None:
        self._person(clip, lambda texts: texts.short)

    def _medium(self, clip: Clip) -> None:
        self._person(clip, lambda texts: texts.medium)

    def _long(self, clip: Clip) -> None:
        self._person(clip, lambda texts: texts.long)

    def _twice(self, clip: Clip) -> None:
        self._person(clip, lambda texts: texts.twice)

    def _person(self, clip: Clip, choose: Callable[[Texts], Sequence[Script]]) -> None:
        sound, start = self._ringing(clip)
        onset = start + self._onset(0.5, 2.0)
        speech = self._speech(clip, choose, (100, 150))
        self._finish(clip, self._lay(clip, sound, speech, onset), 9.0)

    def _greeting(self, clip: Clip) -> None:
        self._machine(clip, lambda texts: texts.greeting, beep=0.6)

    def _brief(self, clip: Clip) -> None:
        self._machine(clip, lambda texts: texts.brief, beep=1.0)

    def _machine(self, clip: Clip, choose: Callable[[Texts], Sequence[Script]], *, beep: float) -> None:
        sound, start = self._ringing(clip)
        onset = start + self._onset(0.45, 1.4)
        sound = self._lay(clip, sound, self._speech(clip, choose, (85, 125)), onset)
        if self.rng.random() < beep:
            sound = self._beep(clip, sound, self.rng.uniform(0.15, 0.9))
        self._finish(clip, sound, len(sound) / RATE + 4.0)

    def _beep_alone(self, clip: Clip) -> None:
        self._finish(clip, self._beep(clip, np.zeros(0), self.rng.uniform(0.2, 1.4)), 8.0)

    def _silence(self, clip: Clip) -> None:
        self._finish(clip, np.zeros(0), 8.0, noisy=0.5)

    def _noise(self, clip: Clip) -> None:
        maker = self._pick_noise(clip)
        level = self.rng.uniform(-38, -18)
        clip.samples = sounds.through_line(sounds.scaled(maker(self.rng, seconds(8)), level), clip=False)

    def _music(self, clip: Clip) -> None:
        name = str(self.rng.choice(list(sounds.MUSIC[self.part])))
        clip.music = name
        start = self.rng.uniform(0, 0.8)
        piece = sounds.scaled(sounds.MUSIC[self.part][name](self.rng, seconds(9)), self._level() - 2)
        self._finish(clip, np.concatenate([np.zeros(seconds(start)), piece]), 9.0, level=None)

    def _key(self, clip: Clip) -> None:
        pair = sounds.KEYS[self.rng.integers(len(sounds.KEYS))]
        press = sounds.tone(pair, self.rng.uniform(0.1, 0.35)) * 0.4
        self._finish(clip, np.concatenate([np.zeros(seconds(self.rng.uniform(0.4, 1.8))), press]), 8.0, level=None)

    def _called_fax(self, clip: Clip) -> None:
        start = self.rng.uniform(0.2, 1.9)
        self._finish(clip, np.concatenate([np.zeros(seconds(start)), self._ced()]), 8.0, level=None)

    def _calling_fax(self, clip: Clip) -> None:
        hertz = 1100 + self.rng.uniform(-20, 20)
        once = np.concatenate([sounds.tone((hertz,), 0.5) * 0.3, np.zeros(seconds(3.0))])
        start = self.rng.uniform(0.1, 1.5)
        self._finish(clip, np.concatenate([np.zeros(seconds(start)), once, once, once]), 9.0, level=None)

    # -- parts of a scene ------------------------------------------------------------------------------------------

    def _ced(self) -> Samples:
        """T.30: 2100 Hz for 2.6 to 4 s; with phase reversals each 450 ms where there are echo cancellers (V.8)."""
        sound = sounds.tone((2100 + self.rng.uniform(-10, 10),), self.rng.uniform(2.6, 4.0)) * 0.3
        if self.rng.random() < 0.4:
            sound = sound * np.where((np.arange(len(sound)) // seconds(0.45)) % 2, -1, 1)
        return np.asarray(sound)

    def _ringing(self, clip: Clip) -> tuple[Samples, float]:
        if not clip.scene.startswith("ringing"):
            return np.zeros(0), 0.0
        length = self.rng.uniform(0.2, 0.9)
        return sounds.tone(sounds.RINGBACK[self.part], length) * 0.12, length

    def _onset(self, median: float, longest: float) -> float:
        if self.rng.random() < (0.25 if self.wild else 0.05):
            return float(self.rng.uniform(0.0, 2.6 if self.wild else longest))
        return float(np.clip(median * np.exp(self.rng.normal(0, 0.55)), 0.05, longest))

    def _speech(self, clip: Clip, choose: Callable[[Texts], Sequence[Script]], rates: tuple[int, int]) -> list[Samples]:
        """The script's pieces, spoken and silent in turn."""
        language = str(self.rng.choice(LANGUAGES[self.part]))
        script = choose(TEXTS[self.part][language])
        script_of = script[self.rng.integers(len(script))]
        accent, variant = self.rng.choice(ACCENTS[self.part][language]), self.rng.choice(VARIANTS[self.part])
        clip.voice, clip.text = f"{accent}+{variant}", " ".join(str(each) for each in script_of)
        rate, pitch = int(self.rng.integers(*rates)), int(self.rng.integers(70, 140))
        pieces = []
        for part in script_of:
            if isinstance(part, str):
                hertz, raw = self.speak(clip.voice, rate, pitch, (part,))
                pieces.append(_trimmed(resample(np.frombuffer(raw, "<i2") / 32768.0, hertz)))
            else:
                pieces.append(np.zeros(seconds(part * self.rng.uniform(0.8, 1.3))))
        return pieces

    def _lay(self, clip: Clip, sound: Samples, pieces: Sequence[Samples], onset: float) -> Samples:
        whole = [sound, np.zeros(max(seconds(onset) - len(sound), 0))]
        at, spans = sum(map(len, whole)), []
        for piece in pieces:
            if np.any(piece):
                spans.append((round(at / RATE, 3), round((at + len(piece)) / RATE, 3)))
            at += len(piece)
        clip.speech = tuple(spans)
        spoken = np.concatenate(pieces)
        scale = 10 ** ((self._level() - speech_level(spoken)) / 20)
        return np.concatenate([*whole, spoken * scale])

    def _beep(self, clip: Clip, sound: Samples, after: float) -> Samples:
        clip.beep_hz = float(self.rng.choice(BEEPS[self.part]))
        clip.beep_at = round(len(sound) / RATE + after, 3)
        beep = sounds.tone((clip.beep_hz,), self.rng.uniform(0.18, 0.9)) * 10 ** (self.rng.uniform(-22, -8) / 20)
        return np.concatenate([sound, np.zeros(seconds(after)), beep])

    def _finish(
        self, clip: Clip, sound: Samples, length: float, *, noisy: float = 0.55, level: float | None = -120.0
    ) -> None:
        whole = np.zeros(seconds(length))
        whole[: len(sound)] = sound[: len(whole)]
        if clip.scene == "greeting over music":
            clip.music = str(self.rng.choice(list(sounds.MUSIC[self.part])))
            piece = sounds.MUSIC[self.part][clip.music](self.rng, len(whole))
            whole += sounds.scaled(piece, speech_level(whole) - self.rng.uniform(12, 20))
        if self.rng.random() < noisy:
            loud = speech_level(whole) if np.any(whole) else -20.0
            maker = self._pick_noise(clip)
            below = self.rng.uniform(10, 32) if level is not None else self.rng.uniform(18, 35)
            below = max(below, 14.0) if clip.noise == VOICES else below
            whole += sounds.scaled(maker(self.rng, len(whole)), max(loud - below, -62))
        if self.rng.random() < 0.2:
            at = seconds(self.rng.uniform(0, 0.15))
            whole[at : at + 160] += self.rng.normal(0, 0.03, 160) * np.exp(-np.arange(160) / 40)
        clip.samples = sounds.through_line(whole, clip=self.rng.random() < 0.08)

    def _pick_noise(self, clip: Clip) -> sounds.Maker:
        clip.noise = str(self.rng.choice([*sounds.NOISES[self.part], VOICES]))
        return self._voices if clip.noise == VOICES else sounds.NOISES[self.part][clip.noise]

    def _voices(self, rng: Rng, count: int) -> Samples:
        """A room in which others talk, all at once."""
        room, texts = np.zeros(count), TEXTS[self.part]["en"].greeting
        for _ in range(4):
            voice = f"{ACCENTS[self.part]['en'][0]}+{rng.choice(VARIANTS[self.part])}"
            text = " ".join(each for each in texts[rng.integers(len(texts))] if isinstance(each, str))
            hertz, raw = self.speak(voice, int(rng.integers(90, 120)), 100, (text,))
            spoken = resample(np.frombuffer(raw, "<i2") / 32768.0, hertz)
            room += np.resize(np.roll(spoken, rng.integers(len(spoken))), count)
        return room

    def _level(self) -> float:
        """dBFS while somebody speaks."""
        return float(self.rng.uniform(-34, -12)) if self.wild else float(np.clip(self.rng.normal(-21, 5), -34, -11))


def _trimmed(sound: Samples) -> Samples:
    """Without the silence that the synthesizer puts around it."""
    power = np.abs(sound)
    loud = np.flatnonzero(power > 0.01 * max(power.max(initial=0.0), 1e-6))
    return sound[loud[0] : loud[-1] + 1] if len(loud) else sound


def scenes(count: int, shares: Mapping[str, float]) -> Iterator[str]:
    """``count`` scenes, more or less, in these shares, each at least once."""
    total = sum(shares.values())
    for name, share in shares.items():
        yield from [name] * max(1, round(count * share / total))


def make(
    part: str,
    count: int,
    seed: int,
    *,
    shares: Mapping[str, float] = SHARES,
    wild: bool = False,
    speak: Speak | None = None,
) -> Iterator[Clip]:
    """The clips of one part; the same for the same seed."""
    speak = speak or espeak()
    for number, scene in enumerate(scenes(count, shares)):
        rng = np.random.default_rng([seed, number, PARTS.index(part)])
        yield Studio(part, rng, speak, wild).clip(number, scene)


def save(clips: Sequence[Clip], folder: Path) -> None:
    """WAV files by kind, and ``corpus.json`` with what is in them."""
    for clip in clips:
        path = folder / clip.kind / f"{clip.id}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(wav(clip.samples.astype("<i2").tobytes()))
    listed = [clip.facts for clip in clips]
    (folder / "corpus.json").write_text(json.dumps(listed, indent=1, ensure_ascii=False), encoding="utf-8")
