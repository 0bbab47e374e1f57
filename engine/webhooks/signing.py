"""Standard Webhooks: secrets, and the headers that let a receiver know who wrote."""

import base64
import json
import secrets
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from standardwebhooks import Webhook as Signer

from engine.webhooks.port import Message

_BYTES = 24
"""Of a secret; the specification asks for 24 to 64."""


def new_secret() -> str:
    return "whsec_" + base64.b64encode(secrets.token_bytes(_BYTES)).decode()


def encode(body: Mapping[str, Any]) -> bytes:
    """ASCII, so that no receiver's decoder changes what was signed."""
    return json.dumps(ordered(body), separators=(",", ":")).encode()


def ordered(body: Mapping[str, Any]) -> dict[str, Any]:
    """Type, time, what it is about, then the rest; jsonb keeps no order of its own."""
    data = body["data"]
    first = {name: data[name] for name in ("request_id", "sequence") if name in data}
    return {"type": body["type"], "timestamp": body["timestamp"], "data": {**first, **data}}


def headers(message: Message, secret: str, body: bytes, now: datetime | None = None) -> dict[str, str]:
    """``now`` is the time of the attempt: receivers refuse what is older than five minutes."""
    at = now or datetime.now(UTC)
    return {
        "Content-Type": "application/json",
        "webhook-id": message.name,
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": Signer(secret).sign(message.name, at, body.decode()),
    }
