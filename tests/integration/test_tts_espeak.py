"""espeak-ng in its worker processes: every voice, deaths, endless loops, and whether a spoken code is understood."""

import asyncio
import os
import signal
import sys
from pathlib import Path

import numpy as np
import pytest

from engine.media.tts.espeak import EspeakEngine
from engine.media.tts.files import Folder
from engine.media.tts.port import Speech
from engine.media.tts.resolve import resolve
from engine.media.tts.sound import duration, telephone, wav
from engine.media.tts.synthesizer import Synthesizer
from engine.media.tts.text import spell
from engine.media.tts.voices import VOICES
from engine.testkit import audio
from tests.waiting import until


def lives(pid):
    try:
        return " Z " not in Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False


@pytest.fixture
async def espeak():
    engine = EspeakEngine()
    await engine.start()
    yield engine
    workers = [worker.pid for worker in engine.idle]
    await engine.close()
    assert not any(map(lives, workers))


@pytest.fixture
async def speaker(tmp_path):
    made = []

    async def make(**settings):
        engine = EspeakEngine(**settings)
        one = Synthesizer(engine, Folder(tmp_path / "tts", 50 << 20), deadline=60.0, fallback="sound:sorry")
        await one.start()
        made.append(one)
        return one

    yield make
    for one in made:
        await one.close()


def told(text, **manner):
    return resolve(Speech(text, **manner))[0]


def worker_of(engine):
    (worker,) = engine.idle
    return worker.pid


async def test_every_voice_of_the_documents_speaks(espeak):
    greetings = {
        "ar": "مرحبا",
        "cm": "你好, 欢迎",
        "yu": "你好, 欢迎",
        "ja": "こんにちは、ようこそ",
        "ko": "안녕하세요",
        "hi": "नमस्ते",
        "ru": "привет",
    }
    sounds = {}
    for name, voice in VOICES.items():
        pcm = telephone(
            await espeak.render(told(greetings.get(voice.language[:2], "Hello and welcome"), voice=name)), "medium"
        )
        samples = audio.decode(wav(pcm))[0]
        assert audio.speech_present(samples, min_seconds=0.2), name
        sounds.setdefault(pcm, []).append(name)
    assert len(sounds) > 85, "voices of one language differ, but for the twins of two documents"
    assert len(espeak.idle) == 1


async def test_rate_and_pitch_are_heard(espeak):
    async def length(**manner):
        return duration(telephone(await espeak.render(told("Thank you for calling. Goodbye.", **manner)), "medium"))

    lengths = [await length(rate=rate) for rate in ("x-slow", "slow", "medium", "fast", "x-fast")]
    assert lengths == sorted(lengths, reverse=True)
    assert lengths[0] > 2 * lengths[-1]
    low, high = [await espeak.render(told("Hello", voice="Matthew", pitch=pitch)) for pitch in ("x-low", "x-high")]
    assert low.pcm != high.pcm


async def test_pauses_are_as_long_as_they_say(espeak):
    async def length(text):
        return duration(telephone(await espeak.render(told(text)), "medium"))

    assert await length("one,,,, two") - await length("one,, two") == pytest.approx(1.0, abs=0.05)


def islands(samples):
    """Pieces of sound between silences of at least 0.3 s."""
    loud = np.flatnonzero(np.abs(samples) > 0.01)
    return [samples[piece[0] : piece[-1] + 1] for piece in np.split(loud, np.flatnonzero(np.diff(loud) > 2400) + 1)]


def likeness(one, other):
    size = 1 << (len(one) + len(other)).bit_length()
    crossed = np.fft.irfft(np.fft.rfft(one, size) * np.conj(np.fft.rfft(other, size)), size)
    return float(np.abs(crossed).max() / (np.linalg.norm(one) * np.linalg.norm(other)))


@pytest.mark.parametrize("code", ["1987", "0042", "531608"])
async def test_a_spoken_code_is_its_digits_apart(espeak, code):
    """As many islands of sound as digits, each of which is the very digit that stands there."""

    async def heard(text):
        return audio.decode(wav(telephone(await espeak.render(told(text)), "medium")))[0]

    alone = {digit: await heard(digit) for digit in "0123456789"}
    pieces = islands(await heard(spell(code)))
    assert [max(alone, key=lambda digit: likeness(piece, alone[digit])) for piece in pieces] == list(code)


async def test_a_worker_that_is_killed_between_texts_is_not_noticed(speaker):
    one = await speaker()
    (await one.speak(Speech("First"))).close()
    pid = worker_of(one.engine)
    os.kill(pid, signal.SIGKILL)
    await until(lambda: one.engine.idle[0].returncode is not None)
    with await one.speak(Speech("Second")) as spoken:
        assert not spoken.fallback
    assert worker_of(one.engine) != pid


async def test_a_worker_that_dies_in_mid_sentence_is_a_fallback_and_then_another(speaker):
    """Its death is the engine's failure, told in less than the deadline; the next text has a new worker."""
    one = await speaker()
    pid = worker_of(one.engine)
    os.kill(pid, signal.SIGSTOP)
    speaking = asyncio.create_task(one.speak(Speech("First")))
    await until(lambda: not one.engine.idle)
    os.kill(pid, signal.SIGKILL)
    async with asyncio.timeout(60):
        with await speaking as spoken:
            assert spoken.fallback
            assert "espeak-ng died" in spoken.note
    with await one.speak(Speech("First")) as spoken:
        assert not spoken.fallback


async def test_a_worker_that_hangs_is_killed_at_the_deadline(speaker):
    one = await speaker()
    one.deadline = 0.3
    pid = worker_of(one.engine)
    os.kill(pid, signal.SIGSTOP)
    began = asyncio.get_running_loop().time()
    with await one.speak(Speech("First")) as spoken:
        assert spoken.fallback
    assert asyncio.get_running_loop().time() - began < 30
    await until(lambda: not lives(pid), within=60)
    await until(lambda: not one.flights)  # who asks meanwhile shares the failure
    one.deadline = 60.0
    with await one.speak(Speech("First")) as spoken:
        assert not spoken.fallback


@pytest.mark.parametrize(
    "program",
    [
        "raise SystemExit(1)",
        "print('hello'); import time; time.sleep(60)",
        "import sys; sys.stdout.write('x' * 100)",
        "import sys; sys.stdout.write('\\0\\0\\0\\2{}')",
    ],
    ids=["ends", "wrong words", "noise", "nonsense in a frame"],
)
async def test_a_program_that_is_no_worker_is_a_fallback(speaker, program):
    one = await speaker(command=(sys.executable, "-c", program))
    one.deadline = 1.0
    with await one.speak(Speech("Hello")) as spoken:
        assert spoken.fallback


async def test_a_program_that_is_not_there_is_a_fallback(speaker):
    one = await speaker(command=("/nowhere/espeak",))
    with await one.speak(Speech("Hello")) as spoken:
        assert spoken.fallback


async def test_no_worker_outlives_an_engine_that_is_killed(tmp_path):
    """The parent is killed while its worker is in the middle of nothing: the kernel ends the worker."""
    program = (
        "import asyncio\nfrom engine.media.tts.espeak import EspeakEngine\n"
        "async def main():\n  e = EspeakEngine()\n  await e.start()\n  w = e.idle[0]\n"
        "  from engine.media.tts.resolve import resolve\n  from engine.media.tts.port import Speech\n"
        "  await e.render(resolve(Speech('ready'))[0])\n  print(w.pid, flush=True)\n  await asyncio.sleep(60)\n"
        "asyncio.run(main())\n"
    )
    parent = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", program), stdout=asyncio.subprocess.PIPE, cwd=str(tmp_path)
    )
    assert parent.stdout is not None
    try:
        async with asyncio.timeout(60):
            worker = int(await parent.stdout.readline())
        os.kill(worker, signal.SIGSTOP)
    finally:
        parent.kill()
        await parent.wait()
    await until(lambda: not lives(worker), within=60)


async def test_the_longest_text_at_its_slowest(speaker):
    one = await speaker()
    text = "The quick brown fox jumps over the lazy dog again. " * 58
    with await one.speak(Speech(text, rate="x-slow")) as spoken:
        assert not spoken.fallback
        assert spoken.duration > 200


async def test_processes_with_one_folder_render_a_text_once(tmp_path):
    program = (
        "import asyncio, sys\nfrom pathlib import Path\nfrom engine.media.tts.espeak import EspeakEngine\n"
        "from engine.media.tts.files import Folder\nfrom engine.media.tts.port import Speech\n"
        "from engine.media.tts.synthesizer import Synthesizer\n"
        "async def main():\n"
        "  s = Synthesizer(EspeakEngine(), Folder(Path(sys.argv[1]), 50 << 20), deadline=120, fallback='sound:sorry')\n"
        "  await s.start()\n"
        "  spoken = await asyncio.gather(*(s.speak(Speech(f'Text number {n % 10}')) for n in range(100)))\n"
        "  assert not any(each.fallback for each in spoken)\n"
        "  [each.close() for each in spoken]\n  await s.close()\n  print(s.rendered)\n"
        "asyncio.run(main())\n"
    )
    started = [
        await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", program, str(tmp_path / "tts")), stdout=asyncio.subprocess.PIPE
        )
        for _ in range(3)
    ]
    async with asyncio.timeout(120):
        told = [(await each.communicate())[0] for each in started]
    assert sum(int(each) for each in told) == 10
