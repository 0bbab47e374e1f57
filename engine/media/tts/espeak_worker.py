"""The process in which espeak-ng lives, so that its crashes and endless loops harm nobody: ``python -m …espeak_worker``.

Standard input and output carry frames: four bytes of length, big-endian, then the content. A request is JSON
``{"voice", "rate", "pitch", "script": [text or seconds of pause]}``; the answer is JSON ``{"rate"}`` or ``{"error"}``, and
after the first a frame of samples. The library is that of the wheel ``espeakng-loader`` (eSpeak NG 1.52, speak_lib.h).
"""

import ctypes
import importlib
import json
import os
import resource
import signal
import struct
import sys
from collections.abc import Callable, Mapping
from typing import IO, Any

_AUDIO_OUTPUT_SYNCHRONOUS = 2
_INITIALIZE_DONT_EXIT = 0x8000
_CHARS_UTF8 = 1
_RATE, _PITCH = 1, 3
_POS_CHARACTER = 1
_NORMAL_RATE, _NORMAL_PITCH = 165, 50
"""Words a minute, and espeak-ng's middle of 0 to 99. 165 is a little slower than its own 175: over a telephone it helps."""
_SLOWEST, _FASTEST = 80, 450
_PR_SET_PDEATHSIG = 1

_Callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p)


class Espeak:
    """The library, loaded and initialized. Raises OSError or RuntimeError where it can't be."""

    def __init__(self) -> None:
        loader = importlib.import_module("espeakng_loader")
        self.library = ctypes.CDLL(loader.get_library_path())
        self.library.espeak_Synth.argtypes = [
            *(ctypes.c_char_p, ctypes.c_size_t, ctypes.c_uint, ctypes.c_int),
            *(ctypes.c_uint, ctypes.c_uint, ctypes.c_void_p, ctypes.c_void_p),
        ]
        data = os.fsencode(loader.get_data_path())
        self.rate: int = self.library.espeak_Initialize(_AUDIO_OUTPUT_SYNCHRONOUS, 0, data, _INITIALIZE_DONT_EXIT)
        if self.rate <= 0:
            raise RuntimeError("espeak-ng can't read its data")
        self.samples = bytearray()
        self.callback = _Callback(self._take)
        self.library.espeak_SetSynthCallback(self.callback)

    def _take(self, samples: Any, count: int, _events: Any) -> int:
        if samples and count > 0:
            self.samples += ctypes.string_at(samples, count * 2)
        return 0

    def speak(self, request: Mapping[str, Any]) -> tuple[int, bytes]:
        """Hertz, and samples of 16 bits. Raises ValueError for a voice that it has not, or words that it refuses."""
        if self.library.espeak_SetVoiceByName(request["voice"].encode()) != 0:
            raise ValueError(f"no voice {request['voice']}")
        words = min(max(_NORMAL_RATE * request["rate"] // 100, _SLOWEST), _FASTEST)
        self.library.espeak_SetParameter(_RATE, words, 0)
        self.library.espeak_SetParameter(_PITCH, min(max(_NORMAL_PITCH * request["pitch"] // 100, 0), 99), 0)
        self.samples.clear()
        for part in request["script"]:
            self._say(part) if isinstance(part, str) else self._pause(part)
        return self.rate, bytes(self.samples)

    def _say(self, words: str) -> None:
        text = words.encode()
        if self.library.espeak_Synth(text, len(text) + 1, 0, _POS_CHARACTER, 0, _CHARS_UTF8, None, None) != 0:
            raise ValueError("espeak-ng refuses it")
        self.library.espeak_Synchronize()

    def _pause(self, seconds: float) -> None:
        self.samples += bytes(2 * int(seconds * self.rate))


def serve(requests: IO[bytes], answers: IO[bytes]) -> None:
    """Answer until the parent closes its end. A library that can't be loaded is the answer to every request."""
    try:
        speak: Callable[[Mapping[str, Any]], tuple[int, bytes]] = Espeak().speak
    except Exception as error:  # noqa: BLE001 - told to the parent
        speak = _refuse(f"{type(error).__name__}: {error}")
    while (request := _read(requests)) is not None:
        try:
            rate, samples = speak(json.loads(request))
        except ValueError as error:
            _write(answers, json.dumps({"error": str(error)}).encode())
        else:
            _write(answers, json.dumps({"rate": rate}).encode())
            _write(answers, samples)


def _refuse(why: str) -> Callable[[Mapping[str, Any]], tuple[int, bytes]]:
    def speak(_request: Mapping[str, Any]) -> tuple[int, bytes]:
        raise ValueError(why)

    return speak


def _read(stream: IO[bytes]) -> bytes | None:
    head = stream.read(4)
    return stream.read(struct.unpack(">I", head)[0]) if len(head) == 4 else None  # noqa: PLR2004 - as written above


def _write(stream: IO[bytes], content: bytes) -> None:
    stream.write(struct.pack(">I", len(content)) + content)
    stream.flush()


def main() -> None:
    """An engine that is killed takes this with it, also in the middle of an endless loop. A crash leaves no core file,
    which would have the text in it."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    serve(sys.stdin.buffer, answers)


if __name__ == "__main__":
    main()
