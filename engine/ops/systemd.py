"""Tell systemd how we are: sd_notify(3). Without NOTIFY_SOCKET every call does nothing."""

import asyncio
import socket
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Notifier:
    """``address``: value of NOTIFY_SOCKET. ``watchdog``: seconds between signs of life, 0 for none."""

    address: str = ""
    watchdog: float = 0.0

    def send(self, state: str) -> None:
        """``READY=1``, ``RELOADING=1``, ``STOPPING=1``, ``WATCHDOG=1``, ``STATUS=…``"""
        if not self.address:
            return
        address = "\0" + self.address[1:] if self.address.startswith("@") else self.address
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock:
            try:
                sock.sendto(state.encode(), address)
            except OSError:
                return

    async def live(self) -> None:
        """Signs of life from the event loop itself: a loop that hangs sends none."""
        while self.watchdog:
            self.send("WATCHDOG=1")
            await asyncio.sleep(self.watchdog)
