"""The speaker that a configuration asks for."""

from engine.config import Config
from engine.media.tts.espeak import EspeakEngine
from engine.media.tts.files import Folder
from engine.media.tts.http_voice import HttpEngine
from engine.media.tts.polly import PollyEngine
from engine.media.tts.port import SpeechEngine
from engine.media.tts.synthesizer import Synthesizer


def synthesizer(config: Config) -> Synthesizer:
    """Not started yet."""
    tts = config.tts
    engine: SpeechEngine = EspeakEngine()
    if tts.engine == "polly":
        engine = PollyEngine(tts.polly)
    elif tts.engine == "http":
        engine = HttpEngine(tts.http)
    root = (tts.cache or config.state / "tts").absolute()
    folder = Folder(root, tts.cache_bytes)
    return Synthesizer(engine, folder, deadline=tts.deadline, fallback=tts.fallback, sounds=tts.sounds)
