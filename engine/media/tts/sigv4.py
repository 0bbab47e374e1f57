"""Amazon's signature, version 4, of one request ("Create a signed AWS API request", IAM user guide). Pure."""

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from urllib.parse import quote, urlsplit

ALGORITHM = "AWS4-HMAC-SHA256"


@dataclass(frozen=True, slots=True)
class Signer:
    """Credentials for one service in one region."""

    region: str
    service: str
    access_key: str
    secret_key: str = field(repr=False)
    session_token: str = field(default="", repr=False)

    def headers(self, method: str, url: str, body: bytes, at: datetime, extra: Mapping[str, str]) -> dict[str, str]:
        """``extra`` with those that sign it, the host and the body. ``at`` is UTC; ``url`` has no query."""
        parts = urlsplit(url)
        signed = {"host": parts.netloc, "x-amz-date": at.strftime("%Y%m%dT%H%M%SZ")}
        signed |= {name.lower(): " ".join(value.split()) for name, value in extra.items()}
        if self.session_token:
            signed["x-amz-security-token"] = self.session_token
        names = ";".join(sorted(signed))
        lines = "".join(f"{name}:{signed[name]}\n" for name in sorted(signed))
        canonical = "\n".join((method, quote(parts.path or "/"), "", lines, names, _sha256(body)))
        scope = f"{at:%Y%m%d}/{self.region}/{self.service}/aws4_request"
        to_sign = "\n".join((ALGORITHM, signed["x-amz-date"], scope, _sha256(canonical.encode())))
        signature = hmac.new(self._key(f"{at:%Y%m%d}"), to_sign.encode(), hashlib.sha256).hexdigest()
        credential = f"{ALGORITHM} Credential={self.access_key}/{scope}"
        return signed | {"authorization": f"{credential}, SignedHeaders={names}, Signature={signature}"}

    def _key(self, day: str) -> bytes:
        key = f"AWS4{self.secret_key}".encode()
        for part in (day, self.region, self.service, "aws4_request"):
            key = hmac.new(key, part.encode(), hashlib.sha256).digest()
        return key


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
