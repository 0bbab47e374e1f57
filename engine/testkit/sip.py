"""SIP messages as the test phone needs them: read, written, and digests of RFC 2617. Pure."""

import hashlib
import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

_COMPACT = {
    "i": "call-id",
    "f": "from",
    "t": "to",
    "v": "via",
    "m": "contact",
    "c": "content-type",
    "l": "content-length",
}
_CHALLENGE = re.compile(r'(\w+)=(?:"([^"]*)"|([^\s,]+))')


@dataclass
class Message:
    """``first`` is the request or status line. ``headers`` keep their order; a name may come several times."""

    first: str
    headers: list[tuple[str, str]] = field(default_factory=list)
    body: str = ""

    @property
    def is_response(self) -> bool:
        return self.first.startswith("SIP/2.0")

    @property
    def method(self) -> str:
        """Of a request its own, of a response the one it answers."""
        return self["cseq"].split()[-1]

    @property
    def status(self) -> int:
        return int(self.first.split()[1])

    @property
    def uri(self) -> str:
        return self.first.split()[1]

    @property
    def cseq(self) -> int:
        return int(self["cseq"].split()[0])

    def __getitem__(self, name: str) -> str:
        """The first header of that name in lower case; empty when there is none."""
        return next((value for key, value in self.headers if key.lower() == name), "")

    def all(self, name: str) -> list[str]:
        return [value for key, value in self.headers if key.lower() == name]

    def encode(self) -> bytes:
        body = self.body.encode()
        lines = [self.first, *(f"{key}: {value}" for key, value in self.headers), f"Content-Length: {len(body)}"]
        return "\r\n".join([*lines, "", ""]).encode() + body


def parse(packet: bytes) -> Message | None:
    """None for what is no SIP, such as a keep-alive."""
    head, _, body = packet.decode("utf-8", "replace").partition("\r\n\r\n")
    first, *rest = head.split("\r\n")
    if "SIP/2.0" not in first:
        return None
    headers = []
    for line in rest:
        key, _, value = line.partition(":")
        name = _COMPACT.get(key.strip().lower(), key.strip())
        if name.lower() != "content-length":
            headers.append((name, value.strip()))
    return Message(first, headers, body)


def answer(
    request: Message, status: int, reason: str, *, tag: str, extra: Sequence[tuple[str, str]] = (), body: str = ""
) -> Message:
    """A response to ``request``, with its Via, From, Call-ID and CSeq, and our tag on To."""
    to = request["to"]
    if status > 100 and "tag=" not in to:
        to = f"{to};tag={tag}"
    kept = [("Via", via) for via in request.all("via")]
    kept += [("Record-Route", route) for route in request.all("record-route")]
    kept += [("From", request["from"]), ("To", to), ("Call-ID", request["call-id"]), ("CSeq", request["cseq"])]
    return Message(f"SIP/2.0 {status} {reason}", [*kept, *extra], body)


def credentials(challenge: str, *, user: str, password: str, method: str, uri: str) -> str:
    """Value of an Authorization header that answers a WWW-Authenticate one."""
    asked = {name: quoted or plain for name, quoted, plain in _CHALLENGE.findall(challenge)}
    secret = _md5(f"{user}:{asked['realm']}:{password}")
    request = _md5(f"{method}:{uri}")
    parts: Mapping[str, str] = {"username": user, "realm": asked["realm"], "nonce": asked["nonce"], "uri": uri}
    plain: Mapping[str, str] = {"algorithm": "MD5"}
    if "auth" in asked.get("qop", ""):
        client = secrets.token_hex(8)
        response = _md5(f"{secret}:{asked['nonce']}:00000001:{client}:auth:{request}")
        plain = {**plain, "qop": "auth", "nc": "00000001"}
        parts = {**parts, "cnonce": client}
    else:
        response = _md5(f"{secret}:{asked['nonce']}:{request}")
    parts = {**parts, "response": response, **({"opaque": asked["opaque"]} if "opaque" in asked else {})}
    quoted = [f'{key}="{value}"' for key, value in parts.items()]
    return "Digest " + ", ".join([*quoted, *(f"{key}={value}" for key, value in plain.items())])


def tag_of(header: str) -> str:
    match = re.search(r";tag=([^;>\s]+)", header)
    return match[1] if match else ""


def user_of(header: str) -> str:
    """User part of the URI in a header: the caller's number in From."""
    match = re.search(r"sips?:([^@;>\s]*)@", header)
    return match[1] if match else ""


def uri_of(header: str) -> str:
    """The URI in a Contact."""
    match = re.search(r"<([^>]+)>", header)
    return match[1] if match else header.partition(";")[0]


def session_description(host: str, port: int) -> str:
    """An offer or answer of µ-law and keys (RFC 4733) at that address."""
    lines = ["v=0", f"o=phone 1 1 IN IP4 {host}", "s=-", f"c=IN IP4 {host}", "t=0 0", f"m=audio {port} RTP/AVP 0 101",
             "a=rtpmap:0 PCMU/8000", "a=rtpmap:101 telephone-event/8000", "a=fmtp:101 0-16", "a=ptime:20", "a=sendrecv"]  # fmt: skip
    return "\r\n".join([*lines, ""])


def media_address(description: str) -> tuple[str, int] | None:
    """Where the other side wants its sound; None when there is no such line."""
    host = re.search(r"^c=IN IP4 (\S+)", description, re.MULTILINE)
    port = re.search(r"^m=audio (\d+)", description, re.MULTILINE)
    return (host[1], int(port[1])) if host and port else None


def _md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()
