"""What things in the media library may be called, and what an upload says that it is."""

import re

from engine.errors import InvalidFields

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,63}", re.ASCII)
_EXTENSION = re.compile(r"[0-9]{1,10}", re.ASCII)
RULE = "must be 1 to 64 letters, digits, dots, dashes or underscores, and not begin with a dot or a dash"

_BY_SUFFIX = {"wav": "wav", "wave": "wav", "mp3": "mp3", "ogg": "ogg", "oga": "ogg", "opus": "ogg", "flac": "flac"}
_BY_TYPE = {
    **dict.fromkeys(("audio/wav", "audio/x-wav", "audio/wave", "audio/vnd.wave"), "wav"),
    **dict.fromkeys(("audio/mpeg", "audio/mp3", "audio/x-mp3", "audio/mpeg3", "audio/x-mpeg-3"), "mp3"),
    **dict.fromkeys(("audio/ogg", "application/ogg", "audio/opus", "audio/vorbis"), "ogg"),
    **dict.fromkeys(("audio/flac", "audio/x-flac"), "flac"),
}
_NO_CLAIM = ("", "application/octet-stream", "binary/octet-stream")


def is_name(text: str) -> bool:
    return _NAME.fullmatch(text) is not None


def check(name: str, extension: str | None) -> None:
    """Raises InvalidFields."""
    wrong = {}
    if not is_name(name):
        wrong["name"] = RULE
    if extension is not None and not _EXTENSION.fullmatch(extension):
        wrong["extension"] = "must be 1 to 10 digits"
    if wrong:
        raise InvalidFields(wrong)


def claimed(filename: str, content_type: str) -> str | None:
    """The kind of audio that the upload says it is: wav, mp3, ogg, flac; None when it says nothing.

    Raises InvalidFields when it says that it is something else, or two things.
    """
    suffix = filename.rpartition(".")[2].lower() if "." in filename else ""
    kind = content_type.partition(";")[0].strip().lower()
    if kind not in _BY_TYPE and kind not in _NO_CLAIM:
        raise InvalidFields({"file": f"is said to be {_shown(kind)}; WAV, MP3, OGG and FLAC are taken"})
    said = {found for found in (_BY_SUFFIX.get(suffix), _BY_TYPE.get(kind)) if found}
    if len(said) > 1:
        raise InvalidFields({"file": f"is said to be both {' and '.join(sorted(said))}"})
    return said.pop() if said else None


def _shown(text: str) -> str:
    return re.sub(r"[^a-z0-9/+.-]", "?", text)[:40]
