"""What may be said, in which words, by whom: text, voices, enums and their errors."""

import pytest

from engine.errors import InvalidFields
from engine.media.tts import text
from engine.media.tts.espeak_voices import LANGUAGES, espeak_pitch, espeak_voice
from engine.media.tts.port import Pause, Speech
from engine.media.tts.resolve import resolve
from engine.media.tts.voices import VOICES


def fields(speech: Speech) -> dict[str, str]:
    with pytest.raises(InvalidFields) as caught:
        resolve(speech)
    return caught.value.fields


def test_commas_are_pauses_and_white_space_is_none():
    told = text.script("Dear, Ann ,\tYour due balance is,, 12,50 ,, ,INR only.\n")
    assert told == ("Dear, Ann , Your due balance is", Pause(0.5), "12,50", Pause(1.0), "INR only.")
    assert text.script("Hello   world") == text.script(" Hello\nworld ")
    assert text.script("café") == text.script("cafe\u0301")
    assert text.script("wait" + "," * 500 + "now")[1] == Pause(10.0)


def test_a_code_is_spoken_character_by_character():
    assert text.spell("0198") == "0,, 1,, 9,, 8"
    assert text.script(f"Your code is {text.spell('19')}.") == ("Your code is 1", Pause(0.5), "9.")
    assert text.spell(" a 1 ") == "a,, 1"


@pytest.mark.parametrize(
    "wrong",
    [
        "<speak>hello</speak>",
        "hello <break time='1s'/> you",
        "a </b",
        "see <!-- x",
        "bell\x07",
        "nul\x00",
        "\x01embedded",
        "del\x7f",
        "c1\x85",
        "half \ud800 a pair",
        "private \ue000",
        "none \uffff",
        "",
        "   ",
        ",, ... !",
        "x" * 3001,
    ],
)
def test_texts_that_are_refused(wrong):
    assert list(fields(Speech(wrong))) == ["text"]


def test_texts_that_are_not_refused():
    for fine in ("5 < 7 > 3", "x < y", "AT&T", "x" * 3000, "नमस्ते", "你好", "Zürich – naïve", "[[hello]]", "100%"):
        resolve(Speech(fine))


def test_a_text_that_is_too_long_is_told_how_long_it_is():
    assert fields(Speech("a" * 3120))["text"] == "has 3120 characters; at most 3000 are allowed"


def test_every_wrong_field_is_named_in_the_documents_words():
    found = fields(
        Speech("", voice="Bob", language="xx-XX", rate="warp", pitch="deep", volume="11", engine="generative"),
    )
    assert found["volume"] == "Allowed values: 'silent','x-soft','soft','medium','loud','x-loud'"
    assert found["rate"] == "Allowed value: 'x-slow','slow','medium','fast','x-fast'"
    assert found["pitch"] == "Allowed values: 'x-low','low','medium','high','x-high'"
    assert found["tts_engine_type"] == "Allowed values: standard, neural"
    assert "Joanna, " in found["voice"]
    assert "TTS_EN-GB_SERENA" in found["voice"]
    assert "en-IN" in found["language_code"]
    assert set(found) == {"text", "voice", "language_code", "rate", "pitch", "volume", "tts_engine_type"}


def test_the_words_are_those_of_the_document():
    """Of the cpaas document, its "Allowed value" without an s included."""
    told = fields(Speech("x", rate="?", pitch="?", volume="?", engine="?"))
    assert told["rate"] == "Allowed value: 'x-slow','slow','medium','fast','x-fast'"
    assert told["pitch"] == "Allowed values: 'x-low','low','medium','high','x-high'"
    assert told["volume"] == "Allowed values: 'silent','x-soft','soft','medium','loud','x-loud'"
    assert told["tts_engine_type"] == "Allowed values: standard, neural"


def test_the_voices_of_the_voice_objects_document_are_known():
    assert set(VOICES) >= {
        "TTS_DE-DE_ANNA", "TTS_DE-DE_YANNICK", "TTS_EN-GB_DANIEL", "TTS_EN-GB_SERENA", "TTS_FR-FR_AUDREY",
        "TTS_FR-FR_SEBASTIEN", "TTS_FR-FR_THOMAS", "TTS_FR-FR_VIRGINIE", "TTS_IT-IT_PAOLO", "TTS_IT-IT_SILVIA",
        "TTS_NL-BE_ELLEN", "TTS_NL-NL_CLAIRE", "TTS_NL-NL_XANDER",
    }  # fmt: skip


def test_white_space_and_case_in_enum_words_are_dropped():
    told, note = resolve(
        Speech("x", voice=" joanna ", rate="x- slow", pitch=" High", volume="x- soft", engine="Neural ")
    )
    assert (told.voice, told.rate, told.pitch, told.volume, told.neural, note) == (
        *("Joanna", 60, 110, "x-soft", True),
        "",
    )


def test_rate_as_a_number():
    assert [resolve(Speech("x", rate=rate))[0].rate for rate in (1, 50, "50", 100)] == [51, 100, 100, 200]
    for wrong in (0, 101, True, "0", "-3"):
        assert "rate" in fields(Speech("x", rate=wrong))


def test_default_voice_is_joanna_and_a_language_brings_its_own():
    assert resolve(Speech("x"))[0].voice == "Joanna"
    assert resolve(Speech("x", language="en-us"))[0].voice == "Joanna"
    assert resolve(Speech("x", language="en_IN"))[0].voice == "Raveena"
    hindi = resolve(Speech("x", language="hi-IN"))[0]
    assert (hindi.voice, hindi.language) == ("Aditi", "hi-IN")


def test_voice_wins_over_language_and_says_so():
    told, note = resolve(Speech("x", voice="Raveena", language="en-US"))
    assert (told.language, note) == ("en-IN", "Raveena speaks en-IN, not en-US")
    both, quiet = resolve(Speech("x", voice="Kajal", language="hi-IN", engine="neural"))
    assert (both.language, quiet) == ("hi-IN", "")
    assert "language_code" in fields(Speech("x", voice="Raveena", language="tlh"))


def test_neural_that_a_voice_has_not_becomes_standard_and_says_so():
    told, note = resolve(Speech("x", voice="Raveena", engine="neural"))
    assert (told.neural, note) == (False, "Raveena has no neural voice: standard")
    told, note = resolve(Speech("x", voice="Olivia"))
    assert (told.neural, note) == (True, "Olivia has no standard voice: neural")


def test_every_voice_can_speak_with_espeak():
    for name, voice in VOICES.items():
        told = resolve(Speech("x", voice=name))[0]
        assert espeak_voice(told).startswith(f"{LANGUAGES[voice.language]}+")
        assert ("+f" in espeak_voice(told)) == (voice.gender == "female")
    assert espeak_voice(resolve(Speech("x", voice="Joanna"))[0]) != espeak_voice(resolve(Speech("x", voice="Salli"))[0])
    assert espeak_pitch(resolve(Speech("x", voice="Justin"))[0]) > espeak_pitch(resolve(Speech("x", voice="Joey"))[0])


def test_a_text_is_not_shown_by_accident():
    speech = Speech("Your code is 1987")
    assert "1987" not in repr(speech)
    assert "1987" not in repr(resolve(speech))
