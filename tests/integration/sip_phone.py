"""A SIP phone of a hundred lines: registers, dials, answers, hangs up. It has no ears: its SDP names a port that nobody
listens on."""

import asyncio
import hashlib
import re
import uuid
from dataclasses import dataclass, field
from typing import Self

Address = tuple[str, int]


@dataclass(frozen=True)
class Message:
    first: str
    headers: dict[str, str]
    sender: Address

    @property
    def status(self) -> int:
        """Status of an answer, 0 for a request."""
        return int(self.first.split()[1]) if self.first.startswith("SIP/2.0") else 0

    @property
    def method(self) -> str:
        return self.headers["cseq"].split()[1] if self.status else self.first.split()[0]


@dataclass
class SipPhone(asyncio.DatagramProtocol):
    """``async with SipPhone(server, "101", "secret") as phone``; one call at a time. ``port`` 0: any."""

    server: Address
    user: str
    password: str = ""
    port: int = 0
    messages: "asyncio.Queue[Message]" = field(default_factory=asyncio.Queue)
    _sequence: int = 0

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        self._transport, _ = await loop.create_datagram_endpoint(lambda: self, local_addr=("127.0.0.1", self.port))
        self.port = self._transport.get_extra_info("sockname")[1]
        self._tag, self._call = uuid.uuid4().hex[:8], uuid.uuid4().hex
        return self

    async def __aexit__(self, *_: object) -> None:
        self._transport.close()
        await asyncio.sleep(0)

    def datagram_received(self, data: bytes, addr: Address) -> None:
        head = data.decode(errors="replace").partition("\r\n\r\n")[0].split("\r\n")
        headers: dict[str, str] = {}
        for line in head[1:]:
            name, _, value = line.partition(":")
            key = name.strip().lower()
            headers[key] = (
                f"{headers[key]}\r\nVia: {value.strip()}" if key == "via" and key in headers else value.strip()
            )
        self.messages.put_nowait(Message(head[0], headers, addr))

    async def register(self) -> int:
        """Final status of a REGISTER with the password."""
        return (await self._with_password("REGISTER", f"sip:{self.server[0]}:{self.server[1]}"))[-1].status

    async def dial(self, user: str, *, answer_password: bool = True) -> list[Message]:
        """INVITE ``user``; all answers until the final one, which is acknowledged."""
        target = f"sip:{user}@{self.server[0]}:{self.server[1]}"
        if answer_password:
            return await self._with_password("INVITE", target, self._sdp())
        return await self._transaction("INVITE", target, self._sdp())

    async def hang_up(self, answered: Message) -> int:
        """BYE on the call that ``answered`` (its 200) made."""
        target = re.sub(r"[<>]|;.*", "", answered.headers["contact"])
        return (await self._transaction("BYE", target, to=answered.headers["to"]))[-1].status

    async def request(self, method: str, within: float = 60) -> Message:
        """The next request of that method; others are dropped."""
        async with asyncio.timeout(within):
            while (message := await self.messages.get()).status or message.method != method:
                pass
        return message

    def answer(self, request: Message, status: str, *, sdp: bool = False) -> None:
        body = self._sdp() if sdp else ""
        to = request.headers["to"] + ("" if "tag=" in request.headers["to"] else f";tag={self._tag}")
        lines = [f"SIP/2.0 {status}", f"Via: {request.headers['via']}", f"From: {request.headers['from']}", f"To: {to}"]
        lines += [f"Call-ID: {request.headers['call-id']}", f"CSeq: {request.headers['cseq']}"]
        self._send(lines, body, request.sender)

    async def _with_password(self, method: str, target: str, body: str = "") -> list[Message]:
        first = await self._transaction(method, target, body)
        if first[-1].status not in (401, 407):
            return first
        challenge = dict(re.findall(r'(\w+)="([^"]*)"', first[-1].headers["www-authenticate"]))
        return first + await self._transaction(method, target, body, self._digest(method, target, challenge))

    def _digest(self, method: str, target: str, challenge: dict[str, str]) -> str:
        def md5(text: str) -> str:
            return hashlib.md5(text.encode()).hexdigest()

        realm, nonce = challenge["realm"], challenge["nonce"]
        secret = md5(f"{self.user}:{realm}:{self.password}")
        response = md5(f"{secret}:{nonce}:00000001:abc:auth:{md5(f'{method}:{target}')}")
        return (
            f'Authorization: Digest username="{self.user}", realm="{realm}", nonce="{nonce}", uri="{target}", '
            f'response="{response}", algorithm=MD5, cnonce="abc", qop=auth, nc=00000001'
            + (f', opaque="{challenge["opaque"]}"' if "opaque" in challenge else "")
        )

    async def _transaction(
        self, method: str, target: str, body: str = "", extra: str = "", to: str = ""
    ) -> list[Message]:
        self._sequence += 1
        own = f"sip:{self.user}@127.0.0.1:{self.port}"
        lines = [
            f"{method} {target} SIP/2.0",
            f"Via: SIP/2.0/UDP 127.0.0.1:{self.port};rport;branch=z9hG4bK{uuid.uuid4().hex}",
            f"From: <{own}>;tag={self._tag}",
            "To: " + (to or f"<{own if method == 'REGISTER' else target}>"),
            f"Call-ID: {self._call}",
            f"Contact: <{own}>",
            "Max-Forwards: 70",
            f"CSeq: {self._sequence} {method}",
            *([extra] if extra else []),
        ]
        self._send(lines, body, self.server)
        answers = await self._answers(method)
        if method == "INVITE":
            self._acknowledge(lines, answers[-1])
        return answers

    async def _answers(self, method: str) -> list[Message]:
        """Of the request sent last; a proxy's retransmission of an earlier one is dropped."""
        answers: list[Message] = []
        async with asyncio.timeout(60):
            while not answers or answers[-1].status < 200:
                message = await self.messages.get()
                if message.status and message.headers["cseq"] == f"{self._sequence} {method}":
                    answers.append(message)
        return answers

    def _acknowledge(self, sent: list[str], final: Message) -> None:
        lines = [line for line in sent if not line.startswith(("Authorization", "To:", "CSeq"))]
        lines[0] = lines[0].replace("INVITE", "ACK", 1)
        if final.status < 300:
            lines[1] = re.sub(r"branch=\S+", f"branch=z9hG4bK{uuid.uuid4().hex}", lines[1])
        self._send([*lines, f"To: {final.headers['to']}", f"CSeq: {self._sequence} ACK"], "", self.server)

    def _sdp(self) -> str:
        lines = ("v=0", "o=- 1 1 IN IP4 127.0.0.1", "s=-", "c=IN IP4 127.0.0.1", "t=0 0")
        media = ("m=audio 9 RTP/AVP 0 101", "a=rtpmap:0 PCMU/8000", "a=rtpmap:101 telephone-event/8000")
        return "".join(f"{line}\r\n" for line in (*lines, *media))

    def _send(self, lines: list[str], body: str, to: Address) -> None:
        more = ["Content-Type: application/sdp"] if body else []
        if not any(line.startswith("Contact") for line in lines):
            more.append(f"Contact: <sip:{self.user}@127.0.0.1:{self.port}>")
        text = "\r\n".join([*lines, *more, f"Content-Length: {len(body)}", "", body])
        self._transport.sendto(text.encode(), to)
