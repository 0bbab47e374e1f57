"""A SIP phone for tests, in asyncio: registers, calls, is called, sends a tone and keeps what it hears.

::

    async with await stack.phone("101", tone=620) as phone:
        await phone.register()
        call = await phone.call("102")
        await call.answered()
        …
        await call.hang_up()

UDP on loopback, so that requests are not repeated; digest authentication; µ-law. Nothing of Trunkline or Asterisk is
used in it, so that it judges both.
"""

import asyncio
import secrets
from dataclasses import dataclass, field
from typing import Self
from urllib.parse import quote

from engine.testkit import sip
from engine.testkit.audio import Samples
from engine.testkit.rtp import Sound

ANSWERS_WITHIN = 60.0
"""Seconds for the server to answer a request of ours."""
_REASONS = {180: "Ringing", 200: "OK", 480: "Temporarily Unavailable", 481: "Call/Transaction Does Not Exist",
            486: "Busy Here", 487: "Request Terminated", 603: "Decline"}  # fmt: skip


@dataclass
class PhoneCall:
    """A call of the phone; ``status`` is the last one that came or went (180, 200, 486, …)."""

    phone: "Phone"
    number: str
    """The other party, as dialled or as shown."""
    call_id: str
    sound: Sound
    port: int
    incoming: bool
    status: int = 0
    statuses: list[int] = field(default_factory=list)
    notified: list[int] = field(default_factory=list)
    """What NOTIFY told of a REFER: 100, 200, 603…"""
    ended: bool = False
    local: str = ""
    remote: str = ""
    """From and To of our requests, with their tags."""
    target: str = ""
    request: sip.Message | None = None
    """The INVITE."""
    cseq: int = 1
    settled: int = 0
    """CSeq of the last INVITE of ours that had its final answer; one that comes again is acknowledged, and no news."""

    @property
    def heard(self) -> Samples:
        return self.sound.heard

    async def wait(self, *statuses: int, within: float = 60.0) -> int:
        """Wait for one of these; a final one that is not wanted fails at once."""
        async with asyncio.timeout(within):
            while self.status not in statuses:
                if self.status >= 300 or self.ended:
                    raise AssertionError(f"{self.statuses} instead of {statuses}")
                await self.phone.changed()
        return self.status

    async def answered(self, within: float = 60.0) -> Self:
        await self.wait(200, within=within)
        return self

    async def over(self, within: float = 60.0) -> int:
        """Wait until the call has ended, by whomever; the status with which it did (200 after a talk)."""
        async with asyncio.timeout(within):
            while not self.ended:
                await self.phone.changed()
        return self.status

    async def hang_up(self) -> None:
        """End it: BYE, or CANCEL of an INVITE that is not answered, or 603 to one that came in."""
        if self.ended:
            return
        if self.status == 200:
            self.phone.send_in_dialog(self, "BYE")
            self.phone.finish(self)
        elif self.incoming:
            self.reject(603)
        else:
            self.phone.cancel(self)
            await self.over()

    def accept(self) -> None:
        """Answer a call that came in."""
        self.phone.accept(self)

    def reject(self, status: int) -> None:
        self.phone.reject(self, status)

    def press(self, keys: str) -> None:
        self.sound.press(keys)

    def hold(self, *, on: bool = True) -> None:
        """What the key of that name does: the phone tells that it only sends."""
        self.phone.hold(self, on=on)

    async def refer(self, to: str) -> int:
        """Ask for a blind transfer; the status of the answer. What becomes of it comes as ``notified``."""
        return await self.phone.refer(self, f"<sip:{to}@{self.phone.where}>")

    async def refer_to(self, other: "PhoneCall") -> int:
        """Ask for the other party to be connected to that of ``other``, a second call of this phone."""
        ours, theirs = sip.tag_of(other.local), sip.tag_of(other.remote)
        replaces = quote(f"{other.call_id};to-tag={theirs};from-tag={ours}", safe="")
        return await self.phone.refer(self, f"<{other.target}?Replaces={replaces}>")


class Phone(asyncio.DatagramProtocol):
    """``auto``: what it does with a call that comes in: a delay in seconds after which it answers, ``None`` to leave
    it ringing for the test to decide, or a status (≥ 300) to refuse it with."""

    def __init__(self, server: tuple[str, int], extension: str, password: str, tone: float, auto: float | None) -> None:
        self.server = server
        self.extension = extension
        self.tone = tone
        self.auto = auto
        self.user_agent = ""
        """What it says of itself when it registers."""
        self.calls: dict[str, PhoneCall] = {}
        self.finished: list[PhoneCall] = []
        self.arrived: list[PhoneCall] = []
        """Calls that came in, in their order."""
        self._password = password
        self._registration = f"{secrets.token_hex(8)}@phone"
        self._registration_cseq = 0
        self._registered = False
        self._news: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._tasks: set[asyncio.Task[None]] = set()
        self._answers: dict[tuple[str, int], asyncio.Future[sip.Message]] = {}
        self._transport: asyncio.DatagramTransport | None = None
        self._port = 0
        self._tag = secrets.token_hex(5)

    @classmethod
    async def open(
        cls,
        server: str,
        extension: str,
        password: str,
        *,
        tone: float = 620.0,
        auto: float | None = 0.1,
        user_agent: str = "",
    ) -> "Phone":
        host, _, port = server.rpartition(":")
        phone = cls((host, int(port)), extension, password, tone, auto)
        phone.user_agent = user_agent
        loop = asyncio.get_running_loop()
        phone._transport, _ = await loop.create_datagram_endpoint(lambda: phone, local_addr=("127.0.0.1", 0))
        phone._port = int(phone._transport.get_extra_info("sockname")[1])
        return phone

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Hang up, forget the registration, give the sockets back."""
        try:
            await asyncio.gather(*(call.hang_up() for call in list(self.calls.values())))
            if self._registered:
                await self.register(expires=0)
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            for call in (*self.finished, *self.calls.values()):
                await call.sound.close()
            if self._transport is not None:
                self._transport.close()
                await asyncio.sleep(0)

    # -- registration ----------------------------------------------------------------------------------------------

    async def register(self, *, expires: int = 120) -> int:
        """Register, or unregister with 0; asserts that the server said yes, and returns the status."""
        reply = await self._register(expires, None)
        if reply.status == 401:
            reply = await self._register(expires, reply["www-authenticate"])
        assert reply.status == 200, f"REGISTER {self.extension}: {reply.first}"
        self._registered = expires > 0
        return reply.status

    async def unregister(self) -> None:
        await self.register(expires=0)

    async def _register(self, expires: int, challenge: str | None) -> sip.Message:
        self._registration_cseq += 1
        uri = f"sip:{self.where}"
        me = f"<sip:{self.extension}@{self.where}>"
        headers = [("From", f"{me};tag={self._tag}"), ("To", me), ("Call-ID", self._registration),
                   ("CSeq", f"{self._registration_cseq} REGISTER"), ("Contact", self._contact),
                   ("Expires", str(expires))]  # fmt: skip
        headers += [("User-Agent", self.user_agent)] if self.user_agent else []
        headers += self._authorization(challenge, "REGISTER", uri)
        return await self._ask(sip.Message(f"REGISTER {uri} SIP/2.0", headers))

    # -- calls that go out -----------------------------------------------------------------------------------------

    async def call(self, number: str) -> PhoneCall:
        """Dial; returns once the server has taken the INVITE (100, or a final answer)."""
        sound = Sound(self.tone)
        port = await sound.open("127.0.0.1")
        call = PhoneCall(self, number, f"{secrets.token_hex(8)}@phone", sound, port, incoming=False)
        call.local = f"<sip:{self.extension}@{self.where}>;tag={secrets.token_hex(5)}"
        call.remote = f"<sip:{number}@{self.where}>"
        call.target = f"sip:{number}@{self.where}"
        self.calls[call.call_id] = call
        self._invite(call, None)
        async with asyncio.timeout(ANSWERS_WITHIN):
            while not call.status:
                await self.changed()
        return call

    def _invite(self, call: PhoneCall, challenge: str | None) -> None:
        headers = self._dialog(call, "INVITE")
        headers += [("Contact", self._contact), ("Content-Type", "application/sdp")]
        headers += self._authorization(challenge, "INVITE", call.target)
        description = sip.session_description("127.0.0.1", call.port)
        call.request = sip.Message(f"INVITE {call.target} SIP/2.0", [self._via(), *headers], description)
        self._send(call.request)

    def cancel(self, call: PhoneCall) -> None:
        assert call.request is not None
        kept = [(key, value) for key, value in call.request.headers if key in ("Via", "From", "To", "Call-ID")]
        self._send(sip.Message(f"CANCEL {call.target} SIP/2.0", [*kept, ("CSeq", f"{call.cseq} CANCEL")]))

    def _invite_answered(self, call: PhoneCall, reply: sip.Message) -> None:
        if reply.cseq != call.cseq:
            return
        if reply.status >= 200:
            self._acknowledge(call, reply)
            if call.settled == reply.cseq:
                return
            call.settled = reply.cseq
        if reply.status in (401, 407) and call.cseq == 1:
            call.cseq += 1
            self._invite(call, reply["www-authenticate"] or reply["proxy-authenticate"])
            return
        if reply.status == 200:
            call.target = sip.uri_of(reply["contact"])
        if 100 < reply.status < 300:
            call.remote = reply["to"]  # with the tag that a REFER names it by while it rings
        if (address := sip.media_address(reply.body)) is not None:
            call.sound.talk(address)
        self._set(call, reply.status)
        if reply.status >= 300:
            self.finish(call)

    def _acknowledge(self, call: PhoneCall, reply: sip.Message) -> None:
        assert call.request is not None
        if reply.status == 200:
            target = sip.uri_of(reply["contact"])
            via = self._via()
        else:
            target, via = call.target, ("Via", call.request["via"])
        headers = [via, ("Max-Forwards", "70"), ("From", call.local), ("To", reply["to"]), ("Call-ID", call.call_id),
                   ("CSeq", f"{reply.cseq} ACK")]  # fmt: skip
        self._send(sip.Message(f"ACK {target} SIP/2.0", headers))

    # -- calls that come in ----------------------------------------------------------------------------------------

    async def next_call(self, within: float = 60.0) -> PhoneCall:
        """The next call that comes in, or came since the last one was taken."""
        async with asyncio.timeout(within):
            while not self.arrived:
                await self.changed()
        return self.arrived.pop(0)

    def _coming(self, invite: sip.Message) -> PhoneCall:
        """Known at once: the INVITE may come again, or be cancelled, before there is a port for its sound."""
        caller = sip.user_of(invite["from"])
        call = PhoneCall(self, caller, invite["call-id"], Sound(self.tone), 0, incoming=True, request=invite)
        call.local = f"{invite['to']};tag={secrets.token_hex(5)}"
        call.remote, call.target = invite["from"], sip.uri_of(invite["contact"])
        self.calls[call.call_id] = call
        return call

    async def _take(self, call: PhoneCall) -> None:
        call.port = await call.sound.open("127.0.0.1")
        if call.ended:
            await call.sound.close()
            return
        self.arrived.append(call)
        if self.auto is not None and self.auto >= 300:
            self.reject(call, int(self.auto))
            return
        self._reply(call, 180)
        if self.auto is not None:
            await asyncio.sleep(self.auto)
            if not call.ended:
                self.accept(call)

    def accept(self, call: PhoneCall) -> None:
        assert call.request is not None
        address = sip.media_address(call.request.body)
        if address is not None:
            call.sound.talk(address)
        self._reply(call, 200, sip.session_description("127.0.0.1", call.port))

    def reject(self, call: PhoneCall, status: int) -> None:
        self._reply(call, status)
        self.finish(call)

    def _reply(self, call: PhoneCall, status: int, body: str = "") -> None:
        assert call.request is not None
        extra = [("Contact", self._contact), *([("Content-Type", "application/sdp")] if body else [])]
        reply = sip.answer(call.request, status, _REASONS[status], tag=sip.tag_of(call.local), extra=extra, body=body)
        self._send(reply)
        self._set(call, status)

    # -- both ------------------------------------------------------------------------------------------------------

    def send_in_dialog(self, call: PhoneCall, method: str) -> None:
        call.cseq += 1
        self._send(sip.Message(f"{method} {call.target} SIP/2.0", [self._via(), *self._dialog(call, method)]))

    def hold(self, call: PhoneCall, *, on: bool) -> None:
        call.cseq += 1
        headers = [*self._dialog(call, "INVITE"), ("Contact", self._contact), ("Content-Type", "application/sdp")]
        body = sip.session_description("127.0.0.1", call.port)
        body = body.replace("a=sendrecv", "a=sendonly") if on else body
        call.request = sip.Message(f"INVITE {call.target} SIP/2.0", [self._via(), *headers], body)
        self._send(call.request)

    async def refer(self, call: PhoneCall, to: str) -> int:
        call.cseq += 1
        headers = [*self._dialog(call, "REFER"), ("Contact", self._contact), ("Refer-To", to)]
        return (await self._ask(sip.Message(f"REFER {call.target} SIP/2.0", headers))).status

    def finish(self, call: PhoneCall) -> None:
        call.ended = True
        if self.calls.pop(call.call_id, None) is not None:
            self.finished.append(call)
            self._spawn(call.sound.close())
        self._tell()

    async def changed(self) -> None:
        """Wait until anything happened at this phone."""
        await asyncio.shield(self._news)

    def datagram_received(self, data: bytes, _addr: tuple[str, int]) -> None:
        message = sip.parse(data)
        if message is None:
            return
        if message.is_response:
            self._on_response(message)
        else:
            self._on_request(message)

    def _on_response(self, reply: sip.Message) -> None:
        waiting = self._answers.pop((reply["call-id"], reply.cseq), None) if reply.status >= 200 else None
        if waiting is not None and not waiting.done():
            waiting.set_result(reply)
        call = self.calls.get(reply["call-id"])
        if call is not None and reply.method == "INVITE":
            self._invite_answered(call, reply)

    def _on_request(self, request: sip.Message) -> None:
        call = self.calls.get(request["call-id"])
        method = request.method
        if method == "ACK":
            return
        if method == "INVITE":
            if call is None:
                self._spawn(self._take(self._coming(request)))
            return
        known = method == "OPTIONS" or call is not None
        self._send(sip.answer(request, *((200, "OK") if known else (481, _REASONS[481])), tag=self._tag))
        if call is not None and method == "NOTIFY" and request.body.startswith("SIP/2.0"):
            call.notified.append(int(request.body.split()[1]))
            self._tell()
        if call is not None and method == "BYE":
            self.finish(call)
        elif call is not None and method == "CANCEL":
            self.reject(call, 487)

    def _set(self, call: PhoneCall, status: int) -> None:
        call.status = status
        call.statuses.append(status)
        self._tell()

    def _tell(self) -> None:
        """Wake all who wait; in one step, so that none who looked before can miss it."""
        self._news.set_result(None)
        self._news = asyncio.get_running_loop().create_future()

    async def _ask(self, message: sip.Message) -> sip.Message:
        waiting: asyncio.Future[sip.Message] = asyncio.get_running_loop().create_future()
        self._answers[message["call-id"], message.cseq] = waiting
        self._send(sip.Message(message.first, [self._via(), *message.headers], message.body))
        async with asyncio.timeout(ANSWERS_WITHIN):
            return await waiting

    def _spawn(self, work: "asyncio._CoroutineLike[None]") -> None:
        task = asyncio.get_running_loop().create_task(work, name=f"phone {self.extension}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _send(self, message: sip.Message) -> None:
        assert self._transport is not None
        self._transport.sendto(message.encode(), self.server)

    def _dialog(self, call: PhoneCall, method: str) -> list[tuple[str, str]]:
        return [("Max-Forwards", "70"), ("From", call.local), ("To", call.remote), ("Call-ID", call.call_id),
                ("CSeq", f"{call.cseq} {method}")]  # fmt: skip

    def _via(self) -> tuple[str, str]:
        return "Via", f"SIP/2.0/UDP 127.0.0.1:{self._port};branch=z9hG4bK{secrets.token_hex(8)};rport"

    def _authorization(self, challenge: str | None, method: str, uri: str) -> list[tuple[str, str]]:
        if challenge is None:
            return []
        word = sip.credentials(challenge, user=self.extension, password=self._password, method=method, uri=uri)
        return [("Authorization", word)]

    @property
    def where(self) -> str:
        return f"{self.server[0]}:{self.server[1]}"

    @property
    def _contact(self) -> str:
        return f"<sip:{self.extension}@127.0.0.1:{self._port}>"
