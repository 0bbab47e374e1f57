"""Letters on their way: each a file until the mail server has taken it. Without a mail server they stay, as ``.eml``.

``waiting/`` has letters as JSON, ``sent/`` what was written out for want of a mail server, ``failed/`` what no server
would take. A letter with a recording waits until the recording is there, at most an hour.
"""

import asyncio
import json
import os
import random
import secrets
import smtplib
import ssl
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from email.message import EmailMessage
from email.utils import formatdate, make_msgid
from pathlib import Path

import structlog

from engine.config import MailServer
from engine.mail.port import Letter

log = structlog.get_logger(__name__)

LOOK = 1.0
"""Seconds between looks at what waits."""
DELAYS = (5, 60, 300, 1800, 7200, 21_600, 43_200)
"""Seconds until the next try."""
RECORDING_WITHIN = 3600.0
DEADLINE = 20.0
"""Seconds for one conversation with the mail server."""
PERMANENT = 500
LARGEST = 20 << 20
"""Bytes of a recording that is sent along."""


@dataclass(slots=True)
class Outbox:
    """``folder`` is made when it is first needed; ``recordings`` has the accounts' folders."""

    folder: Path
    recordings: Path
    server: MailServer | None = None
    clock: Callable[[], float] = time.time
    wake: asyncio.Event = field(default_factory=asyncio.Event)

    async def send(self, letter: Letter) -> None:
        content = json.dumps({**asdict(letter), "written": self.clock(), "tries": 0, "next": 0.0})
        name = f"{letter.request_id}-{secrets.token_hex(4)}.json"
        await asyncio.to_thread(_keep, self.folder / "waiting" / name, content.encode())
        self.wake.set()

    async def run(self) -> None:
        while True:
            for path in sorted((self.folder / "waiting").glob("*.json")):
                try:
                    await asyncio.to_thread(self._try, path)
                except (OSError, ValueError, KeyError) as error:
                    log.warning("letter_waits", letter=path.name, error=repr(error))
            self.wake.clear()
            try:
                async with asyncio.timeout(LOOK * random.uniform(0.9, 1.1)):
                    await self.wake.wait()
            except TimeoutError:
                continue

    def _try(self, path: Path) -> None:
        kept = json.loads(path.read_bytes())
        letter = Letter(**{name: kept[name] for name in Letter.__slots__})
        if self.clock() < kept["next"] or not self._complete(letter, kept["written"]):
            return
        message = self._message(letter)
        if self.server is None:
            _keep(self.folder / "sent" / f"{path.stem}.eml", message.as_bytes())
            path.unlink()
            return
        try:
            _deliver(self.server, message)
        except (OSError, smtplib.SMTPException) as error:
            self._later(path, kept, error)
        else:
            path.unlink()

    def _complete(self, letter: Letter, written: float) -> bool:
        late = self.clock() - written > RECORDING_WITHIN
        return not letter.recording or late or self._sound(letter).exists()

    def _sound(self, letter: Letter) -> Path:
        return self.recordings / letter.account / letter.recording

    def _later(self, path: Path, kept: dict[str, object], error: Exception) -> None:
        tries = int(str(kept["tries"]))
        refused = _final(error)
        log.warning("letter_not_sent", letter=path.name, tries=tries + 1, error=type(error).__name__)
        if refused or tries >= len(DELAYS):
            (self.folder / "failed").mkdir(exist_ok=True)
            path.rename(self.folder / "failed" / path.name)
            return
        pause = DELAYS[tries] * random.uniform(0.8, 1.2)
        _keep(path, json.dumps({**kept, "tries": tries + 1, "next": self.clock() + pause}).encode())

    def _message(self, letter: Letter) -> EmailMessage:
        message = EmailMessage()
        message["From"] = self.server.sender if self.server else "trunkline@localhost"
        message["To"] = letter.to
        message["Subject"] = " ".join(letter.subject.split())
        message["Date"] = formatdate()
        message["Message-ID"] = make_msgid(domain="trunkline.invalid")
        message.set_content(letter.text)
        sound = self._sound(letter)
        if letter.recording and sound.exists() and sound.stat().st_size <= LARGEST:
            message.add_attachment(sound.read_bytes(), maintype="audio", subtype="wav", filename=letter.recording)
        return message


def _final(error: Exception) -> bool:
    """The server will not take it tomorrow either: a code from 500 on (RFC 5321)."""
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        return all(code >= PERMANENT for code, _ in error.recipients.values())
    return isinstance(error, smtplib.SMTPResponseException) and error.smtp_code >= PERMANENT


def _deliver(server: MailServer, message: EmailMessage) -> None:
    context = ssl.create_default_context()
    if server.security == "tls":
        connection: smtplib.SMTP = smtplib.SMTP_SSL(server.host, server.port, timeout=DEADLINE, context=context)
    else:
        connection = smtplib.SMTP(server.host, server.port, timeout=DEADLINE)
    with connection:
        if server.security == "starttls":
            connection.starttls(context=context)
        if server.user:
            connection.login(server.user, server.password.get_secret_value())
        connection.send_message(message)


def _keep(path: Path, content: bytes) -> None:
    """By rename, and on the disk."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    with partial.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    partial.rename(path)
