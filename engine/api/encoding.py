"""JSON out; ASCII alone, so that a lone surrogate that a stranger sent in is no error when it comes back."""

import json
from typing import Any

_encoder = json.JSONEncoder(separators=(",", ":"), allow_nan=False)


def dumps(value: Any) -> bytes:
    return _encoder.encode(value).encode()
