"""Instant calls: an audio file or a menu, by the number that it has."""

from collections.abc import Callable
from dataclasses import dataclass

from engine.dialer.kinds import Order, Plain, Skip
from engine.dialer.port import REFUSED, Due
from engine.media.library.library import Library

FLOW = "instant_call"
RETRIED = ("BUSY", "NOANSWER", "CHANUNAVAIL", "CONGESTION")

STATUS = {
    "ANSWER": "Answered",
    "NOANSWER": "NoAnswer",
    "BUSY": "Busy",
    "EXPIRED": "Expired",
    "CANCELLED": "Cancelled",
}
"""Result → what is read back; another one has failed."""


def status(due: Due) -> str:
    if due.state == "placed":
        return "Calling"
    if due.state != "done":
        return "Waiting"
    if due.result == "CANCEL" and due.outcome and due.outcome["end_reason"] == "cancelled":
        return "Cancelled"
    return STATUS.get(due.result or "", "Failed")


@dataclass(frozen=True, slots=True)
class Instant(Plain):
    library: Library
    menu_of: Callable[[str], str | None]
    """Number → menu."""

    async def order(self, due: Due) -> Order | Skip:
        """What the number stands for now; it may have gone since."""
        params = {name: value for name, value in due.params.items() if name not in ("extension", "fingerprint")}
        extension = due.params["extension"]
        sound = await self.library.of_extension(due.account, extension)
        if sound is not None:
            params |= {"media": sound.media, "seconds": sound.duration}
        elif (menu := self.menu_of(extension)) is not None:
            params |= {"menu": menu}
        else:
            return Skip(REFUSED)
        return Order(FLOW, params, due.params["caller_id"])
