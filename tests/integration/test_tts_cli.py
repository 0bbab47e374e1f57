"""``trunkline tts`` as it is typed, in processes of its own, with espeak-ng."""

import asyncio
import json
import subprocess
import sys
from pathlib import Path

import pytest

from engine.testkit import audio

CONFIG = """
state: {state}
objects: {state}/objects
recordings: {state}/recordings
database: {{dsn: postgresql://nobody@127.0.0.1:1/none}}
asterisk: [{{ari_password: x, ami_secret: x}}]
tts: {tts}
"""


@pytest.fixture
def trunkline(tmp_path: Path):
    def run(*words: str, given: str = "", **tts: object) -> subprocess.CompletedProcess[str]:
        file = tmp_path / "trunkline.yaml"
        file.write_text(CONFIG.format(state=tmp_path / "state", tts=json.dumps(tts)))
        return subprocess.run(
            [sys.executable, "-m", "engine", "tts", *words, *(() if "voices" in words else ("--config", str(file)))],
            input=given,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    return run


async def test_say_writes_what_a_telephone_plays(trunkline, tmp_path):
    out = tmp_path / "out.wav"
    done = await asyncio.to_thread(trunkline, "say", "Hello, world", "--voice", "TTS_EN-GB_SERENA", "-o", str(out))
    assert (done.returncode, done.stderr) == (0, "")
    (samples,) = audio.load(out)
    assert audio.speech_present(samples)
    assert done.stdout == f"{out}: {audio.duration(samples):.2f} s\n"


async def test_say_spells_and_reads_standard_input_and_tells_its_notes(trunkline, tmp_path):
    out = tmp_path / "out.wav"
    words = ("say", "-", "--spell", "--voice", "Raveena", "--engine", "neural", "-o", str(out))
    done = await asyncio.to_thread(trunkline, *words, given="1987\n")
    assert "(Raveena has no neural voice: standard)" in done.stdout
    assert audio.duration(audio.load(out)[0]) > 2.5


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("say", "x", "--voice", "Bob", "-o", "{out}"), "voice Allowed values: Joanna, "),
        (("say", "x", "--rate", "warp", "-o", "{out}"), "rate Allowed value: 'x-slow','slow','medium','fast','x-fast'"),
        (("say", "<b>x</b>", "-o", "{out}"), "text is plain text"),
        (("say", "x", "-o", "/nowhere/x.wav"), "/nowhere/x.wav: No such file or directory"),
        (("prerender", "/nowhere/x"), "/nowhere/x: No such file or directory"),
    ],
)
async def test_what_is_wrong_is_one_line(trunkline, tmp_path, words, told):
    done = await asyncio.to_thread(trunkline, *(word.format(out=tmp_path / "o.wav") for word in words))
    assert done.returncode == 1
    assert told in done.stderr
    assert done.stderr.count("\n") == 1


async def test_prerender_fills_the_cache_once(trunkline, tmp_path):
    texts = tmp_path / "prompts.txt"
    texts.write_text('# menus\nWelcome.\n\n{"text": "Bienvenue.", "voice": "Celine", "rate": 40}\nWelcome.\nGoodbye.\n')
    first = await asyncio.to_thread(trunkline, "prerender", str(texts))
    assert (first.stdout, first.stderr) == ("4 of 4 texts are in the cache, 3 of them spoken now\n", "")
    again = await asyncio.to_thread(trunkline, "prerender", "-", given=texts.read_text())
    assert again.stdout == "4 of 4 texts are in the cache, 0 of them spoken now\n"
    assert len(list(tmp_path.glob("state/tts/*.wav"))) == 3


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ("fine\n<b>x</b>\n", "line 2: invalid fields: text is plain text"),
        ('{"text": "x", "speed": 3}\n', "line 1: speed: not among"),
        ("{nonsense\n", "line 1: not JSON"),
    ],
)
async def test_prerender_names_the_line_and_speaks_nothing(trunkline, tmp_path, given, told):
    done = await asyncio.to_thread(trunkline, "prerender", "-", given=given)
    assert done.returncode == 1
    assert told in done.stderr
    assert not list(tmp_path.glob("state/tts/*.wav"))


async def test_a_dead_engine_is_an_error_here(trunkline, tmp_path):
    words = ("say", "Hello", "-o", str(tmp_path / "o.wav"))
    done = await asyncio.to_thread(trunkline, *words, engine="http", http={"url": "http://127.0.0.1:1/{text}"})
    assert done.returncode == 1
    assert "text to speech failed (no answer: ClientConnectorError)" in done.stderr
    assert not (tmp_path / "o.wav").exists()


async def test_voices(trunkline):
    listed = await asyncio.to_thread(trunkline, "voices", "--language", "en_gb")
    assert [line.split()[0] for line in listed.stdout.splitlines()] == [
        *("voice", "Amy", "Emma", "Brian", "Arthur", "TTS_EN-GB_DANIEL", "TTS_EN-GB_SERENA")
    ]
    told = json.loads((await asyncio.to_thread(trunkline, "voices", "--json")).stdout)
    assert {"name": "Joanna", "language": "en-US", "gender": "female"}.items() <= told[0].items()
