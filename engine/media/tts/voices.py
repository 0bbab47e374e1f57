"""Every voice that the documents name, and what is known of it.

Names, languages and kinds of Amazon Polly's voices: its developer guide, "Available voices" (what it has as generative or
long-form alone can't be asked for by the documents' tts_engine_type). ``TTS_…``: ``voice`` of Media.Library in
``reference/voice-objects-api.txt``; each has a Polly voice of its language and gender that speaks for it there.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from engine.errors import InvalidFields

Gender = Literal["female", "male"]
DEFAULT = "Joanna"


@dataclass(frozen=True, slots=True)
class Voice:
    name: str
    language: str
    gender: Gender
    standard: bool
    neural: bool
    polly: str
    """Amazon's id."""
    others: tuple[str, ...] = ()
    """Languages that it speaks as well."""
    child: bool = False


_POLLY = """
Joanna en-US f sn | Ivy en-US f sn child | Kendra en-US f sn | Kimberly en-US f sn | Salli en-US f sn
Danielle en-US f n | Ruth en-US f n | Matthew en-US m sn | Joey en-US m sn | Justin en-US m sn child
Kevin en-US m n child | Gregory en-US m n | Stephen en-US m n
Amy en-GB f sn | Emma en-GB f sn | Brian en-GB m sn | Arthur en-GB m n
Raveena en-IN f s | Aditi en-IN+hi-IN f s | Kajal en-IN+hi-IN f n
Nicole en-AU f s | Olivia en-AU f n | Russell en-AU m s | Niamh en-IE f n | Aria en-NZ f n | Jasmine en-SG f n
Ayanda en-ZA f n | Geraint en-GB-WLS m s
Zeina arb f s | Hala ar-AE f n | Zayd ar-AE m n | Arlet ca-ES f n | Zhiyu cmn-CN f sn | Hiujin yue-CN f n
Jitka cs-CZ f n | Gwyneth cy-GB f s | Naja da-DK f s | Sofie da-DK f n | Mads da-DK m s
Marlene de-DE f s | Vicki de-DE f sn | Hans de-DE m s | Daniel de-DE m n | Hannah de-AT f n | Sabrina de-CH f n
Conchita es-ES f s | Lucia es-ES f sn | Enrique es-ES m s | Sergio es-ES m n | Mia es-MX f sn | Andres es-MX m n
Penelope es-US f s | Lupe es-US f sn | Miguel es-US m s | Pedro es-US m n | Suvi fi-FI f n
Celine fr-FR f s | Lea fr-FR f sn | Mathieu fr-FR m s | Remi fr-FR m n | Isabelle fr-BE f n
Chantal fr-CA f s | Gabrielle fr-CA f n | Liam fr-CA m n | Dora is-IS f s | Karl is-IS m s
Carla it-IT f s | Bianca it-IT f sn | Giorgio it-IT m s | Adriano it-IT m n
Mizuki ja-JP f s | Kazuha ja-JP f n | Tomoko ja-JP f n | Takumi ja-JP m sn | Seoyeon ko-KR f sn | Jihye ko-KR f n
Liv nb-NO f s | Ida nb-NO f n | Lisa nl-BE f n | Lotte nl-NL f s | Laura nl-NL f n | Ruben nl-NL m s
Ewa pl-PL f s | Maja pl-PL f s | Ola pl-PL f n | Jacek pl-PL m s | Jan pl-PL m s
Vitoria pt-BR f sn | Camila pt-BR f sn | Ricardo pt-BR m s | Thiago pt-BR m n | Ines pt-PT f sn | Cristiano pt-PT m s
Carmen ro-RO f s | Tatyana ru-RU f s | Maxim ru-RU m s | Astrid sv-SE f s | Elin sv-SE f n
Filiz tr-TR f s | Burcu tr-TR f n
"""
"""Name, languages, gender, kinds (standard, neural). The first of a language speaks for who names the language alone."""

_OBJECTS = {
    "TTS_DE-DE_ANNA": "Marlene",
    "TTS_DE-DE_YANNICK": "Hans",
    "TTS_EN-GB_DANIEL": "Brian",
    "TTS_EN-GB_SERENA": "Amy",
    "TTS_FR-FR_AUDREY": "Celine",
    "TTS_FR-FR_SEBASTIEN": "Remi",
    "TTS_FR-FR_THOMAS": "Mathieu",
    "TTS_FR-FR_VIRGINIE": "Lea",
    "TTS_IT-IT_PAOLO": "Giorgio",
    "TTS_IT-IT_SILVIA": "Carla",
    "TTS_NL-BE_ELLEN": "Lisa",
    "TTS_NL-NL_CLAIRE": "Lotte",
    "TTS_NL-NL_XANDER": "Ruben",
}


def _parsed(entry: str) -> Voice:
    name, languages, gender, kinds, *rest = entry.split()
    language, *others = languages.split("+")
    return Voice(
        name,
        language,
        "female" if gender == "f" else "male",
        standard="s" in kinds,
        neural="n" in kinds,
        polly=name,
        others=tuple(others),
        child="child" in rest,
    )


def _table() -> Mapping[str, Voice]:
    amazon = {voice.name: voice for voice in map(_parsed, _POLLY.strip().replace("\n", "|").split("|"))}
    twins = {name: amazon[polly] for name, polly in _OBJECTS.items()}
    return amazon | {
        name: Voice(name, twin.language, twin.gender, twin.standard, twin.neural, twin.polly)
        for name, twin in twins.items()
    }


VOICES = _table()
"""By name, in an order that does not change."""
LANGUAGES = tuple(sorted({code for voice in VOICES.values() for code in (voice.language, *voice.others)}))

_NAMES = {name.casefold(): voice for name, voice in VOICES.items()}
_CODES = {code.casefold(): code for code in LANGUAGES}


def by_name(name: str) -> Voice:
    """Raises InvalidFields."""
    found = _NAMES.get("".join(name.split()).casefold())
    if found is None:
        raise InvalidFields({"voice": f"Allowed values: {', '.join(VOICES)}"})
    return found


def language_code(code: str) -> str:
    """The code as the documents write it; ``en_us`` is taken too. Raises InvalidFields."""
    found = _CODES.get("".join(code.split()).replace("_", "-").casefold())
    if found is None:
        raise InvalidFields({"language_code": f"Allowed values: {', '.join(LANGUAGES)}"})
    return found


def first_of(language: str) -> Voice:
    """The voice for who names a language of ``LANGUAGES`` alone: Joanna for en-US, else the first there is."""
    native = [voice for voice in VOICES.values() if voice.language == language]
    return native[0] if native else next(voice for voice in VOICES.values() if language in voice.others)
