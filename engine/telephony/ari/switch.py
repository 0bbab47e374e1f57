"""The telephony port over ARI: one method, one request. Values go through ``safe`` here and nowhere else."""

import asyncio
import math
import os
import shutil
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from engine.config import AsteriskServer
from engine.errors import Clash, Gone, Refused
from engine.telephony import safe
from engine.telephony.ari import sound
from engine.telephony.ari.link import HEARTBEAT, AriLink
from engine.telephony.ari.translate import channel as to_channel
from engine.telephony.events import Channel
from engine.telephony.port import BridgeInfo, Sink

_BAD_REQUEST: Final = 400


class AriSwitch:
    """One Asterisk server, by its ARI. Implements ``engine.telephony.port.Switch``."""

    def __init__(self, server: AsteriskServer, app: str, sink: Sink, *, heartbeat: float = HEARTBEAT) -> None:
        self._name = server.name
        self._app = app
        self._recordings = server.recordings
        self._ari = server.ari
        self._timeout = server.request_timeout
        self._link = AriLink(server, app, sink, heartbeat=heartbeat)

    @property
    def name(self) -> str:
        return self._name

    @property
    def up(self) -> bool:
        return self._link.up

    @property
    def round_trip(self) -> float:
        """Seconds that a request to Asterisk takes, of late."""
        return self._link.round_trip

    @property
    def version(self) -> str:
        """Asterisk's version, empty until the link was up once."""
        return self._link.version

    async def start(self) -> None:
        """Begin to connect; the sink hears LinkRestored when commands can be sent."""
        self._link.start()

    async def stop(self) -> None:
        await self._link.stop()

    async def wait_up(self) -> None:
        await self._link.wait_up()

    async def create_channel(
        self,
        channel_id: str,
        endpoint: str,
        *,
        caller_id: str,
        variables: Mapping[str, str] | None = None,
        originator: str | None = None,
    ) -> Channel:
        # The called party's connected line is what the INVITE's From is made of; ``i``: nobody is told of it yet.
        values = {"CONNECTEDLINE(all,i)": safe.party(caller_id)} if caller_id else {}
        values |= safe.variables(variables or {})
        reply = await self._link.call(
            "channels",
            "create",
            endpoint=safe.endpoint(endpoint),
            app=self._app,
            channelId=safe.identifier(channel_id),
            originator=originator and safe.identifier(originator),
            variables=values or None,
        )
        return to_channel(reply.json())

    async def dial(self, channel_id: str, *, timeout: float) -> None:
        await self._channel("dial", channel_id, timeout=math.ceil(timeout))

    async def answer(self, channel_id: str) -> None:
        await self._channel("answer", channel_id)

    async def ring(self, channel_id: str) -> None:
        await self._channel("ring", channel_id)

    async def ring_stop(self, channel_id: str) -> None:
        await self._channel("ringStop", channel_id)

    async def hangup(self, channel_id: str, *, cause: int = 16) -> None:
        with suppress(Gone):
            await self._channel("hangup", channel_id, reason_code=str(cause))

    async def play(self, target: str, playback_id: str, media: Sequence[str], *, bridge: bool = False) -> None:
        place = {"bridgeId": safe.identifier(target)} if bridge else {"channelId": safe.identifier(target)}
        await self._link.call(
            "bridges" if bridge else "channels",
            "playWithId",
            playbackId=safe.identifier(playback_id),
            media=[safe.media_uri(uri) for uri in media],
            **place,
        )

    async def stop_play(self, playback_id: str) -> None:
        with suppress(Gone):
            await self._link.call("playbacks", "stop", playbackId=safe.identifier(playback_id))

    async def create_bridge(self, bridge_id: str, *, kind: str = "mixing,dtmf_events") -> None:
        for last in (False, True):
            try:
                await self._bridge("createWithId", bridge_id, type=kind)
            except Clash:
                return
            except Refused:
                if last:  # Asterisk answers 500 to one of two that come together, and 409 to a third
                    raise
            else:
                return

    async def bridge_add(self, bridge_id: str, *channel_ids: str) -> None:
        # A bridge would tell each party of the other, and a leg that is not dialled yet would go out as anonymous.
        await self._members("addChannel", bridge_id, channel_ids, inhibitConnectedLineUpdates="true")

    async def bridge_remove(self, bridge_id: str, *channel_ids: str) -> None:
        await self._members("removeChannel", bridge_id, channel_ids)

    async def destroy_bridge(self, bridge_id: str) -> None:
        with suppress(Gone):
            await self._bridge("destroy", bridge_id)

    async def snoop(self, channel_id: str, snoop_id: str, *, spy: str = "in", whisper: str = "none") -> None:
        await self._channel(
            "snoopChannelWithId",
            channel_id,
            snoopId=safe.identifier(snoop_id),
            spy=spy,
            whisper=whisper,
            app=self._app,
        )

    async def sound_channel(self, channel_id: str) -> str:
        reply = await self._link.call(
            "channels",
            "externalMedia",
            channelId=safe.identifier(channel_id),
            app=self._app,
            external_host="INCOMING",
            transport="websocket",
            connection_type="server",
            encapsulation="none",
            format=sound.FORMAT,
        )
        return str(reply.json()["channelvars"][sound.KEY])

    def hear(self, key: str) -> AsyncGenerator[bytes, None]:
        return sound.sound(self._ari, key, timeout=self._timeout)

    async def record(
        self,
        channel_id: str,
        name: str,
        *,
        max_seconds: int = 0,
        beep: bool = False,
        max_silence: int = 0,
        terminators: str = "",  # noqa: ARG002 - each key is told, and a verb can stop it at any
    ) -> None:
        await self._channel(
            "record",
            channel_id,
            name=safe.identifier(name),
            format="wav",
            maxDurationSeconds=max_seconds,
            maxSilenceSeconds=max_silence,
            beep="true" if beep else "false",
            ifExists="fail",
        )

    async def record_bridge(self, bridge_id: str, name: str) -> None:
        await self._bridge("record", bridge_id, name=safe.identifier(name), format="wav", ifExists="fail")

    async def stop_record(self, name: str) -> None:
        with suppress(Gone):
            await self._link.call("recordings", "stop", recordingName=safe.identifier(name))

    async def pause_record(self, name: str, *, on: bool) -> None:
        await self._link.call("recordings", "mute" if on else "unmute", recordingName=safe.identifier(name))

    async def fetch_recording(self, name: str, to: Path) -> bool:
        part = to.with_name(f"{to.name}.part")
        try:
            if self._recordings is not None:
                await asyncio.to_thread(shutil.copyfile, self._recordings / f"{safe.identifier(name)}.wav", part)
            else:
                await self._link.download(f"/recordings/stored/{quote(safe.identifier(name))}/file", part)
        except (Gone, FileNotFoundError):
            return False
        await asyncio.to_thread(os.replace, part, to)
        return True

    async def delete_recording(self, name: str) -> None:
        with suppress(Gone):
            await self._link.call("recordings", "deleteStored", recordingName=safe.identifier(name))

    async def packets_from(self, channel_id: str) -> int:
        reply = await self._link.call("channels", "rtpstatistics", channelId=safe.identifier(channel_id))
        return int(reply.json().get("rxcount", 0))

    async def get_variable(self, channel_id: str, name: str) -> str:
        name, _ = safe.variable(name, "")
        try:
            reply = await self._link.call(
                "channels", "getChannelVar", channelId=safe.identifier(channel_id), variable=name
            )
        except Gone:
            return ""  # 404 is also said of a variable that is not set
        return str(reply.json().get("value", ""))

    async def set_variable(self, channel_id: str, name: str, value: str) -> None:
        name, value = safe.variable(name, value)
        await self._channel("setChannelVar", channel_id, variable=name, value=value)

    async def send_dtmf(self, channel_id: str, digits: str, *, between_ms: int = 100, duration_ms: int = 100) -> None:
        await self._channel("sendDTMF", channel_id, dtmf=safe.dtmf(digits), between=between_ms, duration=duration_ms)

    async def hold_music(self, channel_id: str, *, on: bool) -> None:
        await self._channel("startMoh" if on else "stopMoh", channel_id)

    async def mute(self, channel_id: str, direction: str, *, on: bool) -> None:
        await self._channel("mute" if on else "unmute", channel_id, direction=direction)

    async def transfer_progress(self, channel_id: str, state: str) -> None:
        await self._channel("transfer_progress", channel_id, states=safe.identifier(state))

    async def leave(self, channel_id: str, context: str, exten: str = "s") -> None:
        await self._channel(
            "continueInDialplan",
            channel_id,
            context=safe.identifier(context),
            extension=safe.identifier(exten),
            priority=1,
        )

    async def give_back(self, channel_id: str) -> None:
        await self._channel("continueInDialplan", channel_id)

    async def channels(self) -> list[Channel]:
        return [to_channel(raw) for raw in (await self._link.call("channels", "list")).json()]

    async def bridges(self) -> list[BridgeInfo]:
        listed = (await self._link.call("bridges", "list")).json()
        return [BridgeInfo(raw["id"], tuple(raw.get("channels", ()))) for raw in listed]

    async def _channel(self, nickname: str, channel_id: str, **arguments: Any) -> None:
        await self._link.call("channels", nickname, channelId=safe.identifier(channel_id), **arguments)

    async def _bridge(self, nickname: str, bridge_id: str, **arguments: Any) -> None:
        await self._link.call("bridges", nickname, bridgeId=safe.identifier(bridge_id), **arguments)

    async def _members(self, nickname: str, bridge_id: str, channel_ids: Sequence[str], **options: str) -> None:
        """Asterisk answers 400 where a channel of the list is no more."""
        try:
            channels = [safe.identifier(each) for each in channel_ids]
            await self._bridge(nickname, bridge_id, channel=channels, **options)
        except Refused as error:
            if error.status == _BAD_REQUEST:
                raise Gone(str(error)) from error
            raise
