"""Asterisk as it sees itself, by bare ARI: what is left in it, whatever the engine believes."""

import base64
from dataclasses import dataclass, field
from typing import Any, Self

import aiohttp

from engine.testkit.poll import eventually

DEADLINE = aiohttp.ClientTimeout(total=60)


@dataclass
class AsteriskView:
    base: str
    user: str
    password: str
    _session: aiohttp.ClientSession | None = field(default=None, init=False, repr=False)

    async def __aenter__(self) -> Self:
        word = base64.b64encode(f"{self.user}:{self.password}".encode()).decode()
        self._session = aiohttp.ClientSession(headers={"Authorization": f"Basic {word}"}, timeout=DEADLINE)
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._session is not None:
            await self._session.close()

    async def channels(self) -> list[dict[str, Any]]:
        return list(await self._get("/channels"))

    async def quiet(self) -> None:
        """Wait until it has no channel. Raises NotInTime, naming what there is."""

        async def look() -> bool:
            return not await self.channels()

        async def tell() -> str:
            return "\n".join(f"{each['id']} {each['name']} {each['state']}" for each in await self.channels())

        await eventually(look, within=40, what="Asterisk without a channel", tell=tell)

    async def bridges(self) -> list[dict[str, Any]]:
        return list(await self._get("/bridges"))

    async def endpoint(self, name: str) -> dict[str, Any]:
        """``state`` of a PJSIP endpoint: ``online`` once a phone has registered."""
        return dict(await self._get(f"/endpoints/PJSIP/{name}"))

    async def play(self, channel_id: str, media: str) -> None:
        """Have Asterisk itself play to a channel, past the engine."""
        assert self._session is not None
        async with self._session.post(f"{self.base}/channels/{channel_id}/play", params={"media": media}) as answer:
            answer.raise_for_status()

    async def hang_up(self, channel_id: str) -> None:
        """End a channel past the engine."""
        assert self._session is not None
        async with self._session.delete(f"{self.base}/channels/{channel_id}") as answer:
            answer.raise_for_status()

    async def _get(self, path: str) -> Any:
        assert self._session is not None
        async with self._session.get(self.base + path) as answer:
            answer.raise_for_status()
            return await answer.json()
