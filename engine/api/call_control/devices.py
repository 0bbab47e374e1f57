"""/registration/accounts/{account_id}/devices: telephones that have registered."""

from collections.abc import Sequence
from typing import Any

from aiohttp import web

from engine.api.call_control import paging
from engine.api.call_control.dialect import ACCOUNT_ID, DIALECT, answer, of_account
from engine.api.call_control.views import epoch
from engine.api.fields import IDENTIFIER, Field
from engine.api.route import Answer, Ask, Route
from engine.calls.mac import mac_of
from engine.errors import NotFound
from engine.store.port import Device

QUERY = paging.query("CallControlDevices", "Devices whose registration last succeeded")
MAC = Field("mac_address", IDENTIFIER, "Its MAC address, or its extension", "79-5C-7D-28-1B-B3")


async def listed(ask: Ask) -> web.StreamResponse:
    async def show(found: Sequence[Device]) -> list[dict[str, Any]]:
        return [_view(device, ask.account.number) for device in found]

    body = await paging.page(
        paging.wanted(ask.fields),
        ask.ctx.devices,
        ask.name,
        path=ask.http.path,
        name="devices",
        key_of=lambda device: device.key,
        show=show,
    )
    return answer(body)


async def show(ask: Ask) -> web.StreamResponse:
    return answer(_view(await _device(ask), ask.account.number))


async def forget(ask: Ask) -> web.StreamResponse:
    device = await _device(ask)
    if not await ask.ctx.devices.forget(ask.name, device.key):
        raise NotFound("no device has this address")
    return answer(_view(device, ask.account.number))


async def _device(ask: Ask) -> Device:
    text = ask.path("mac_address")
    device = await ask.ctx.devices.get(ask.name, mac_of(text) or text)
    if device is None:
        raise NotFound("no device has this address")
    return device


def _view(device: Device, account_number: int) -> dict[str, Any]:
    request, success = epoch(device.last_request), epoch(device.last_success)
    return {
        "account_id": account_number,
        "device_ip": device.address,
        "last_request": request,
        "last_success": success,
        "mac_address": device.mac,
        "registration": {"last_success": success},
        "provisioned": {"last_success": None, "last_request": None},
    }


_TIME = {"type": ["integer", "null"], "description": "Seconds since 1970"}
_SCHEMA = {
    "type": "object",
    "properties": {
        "account_id": {"type": "integer"},
        "device_ip": {"type": "string"},
        "last_request": _TIME,
        "last_success": _TIME,
        "mac_address": {"type": ["string", "null"], "description": "Null: the phone does not tell it"},
        "registration": {"type": "object", "properties": {"last_success": _TIME}},
        "provisioned": {
            "type": "object",
            "properties": {"last_success": _TIME, "last_request": _TIME},
            "description": "Null: phones are not provisioned here",
        },
    },
}
_EXAMPLE = {
    "account_id": 1234,
    "device_ip": "150.24.83.17",
    "last_request": 1595937421,
    "last_success": 1595937421,
    "mac_address": "79-5C-7D-28-1B-B3",
    "registration": {"last_success": 1595937421},
    "provisioned": {"last_success": None, "last_request": None},
}
_PATH = "/registration/accounts/{account_id}/devices"
ROUTES = (
    paging.route(
        _PATH, "Devices of the account, page by page", listed, QUERY, name="devices", item=_SCHEMA, example=_EXAMPLE
    ),
    Route(
        "GET",
        _PATH + "/{mac_address}",
        "One device",
        of_account(show),
        scope="read",
        parameters=(ACCOUNT_ID, MAC),
        errors=(404, 503),
        dialect=DIALECT,
        answers={200: Answer("The device", _SCHEMA, _EXAMPLE)},
    ),
    Route(
        "DELETE",
        _PATH + "/{mac_address}",
        "Forget a device until it registers again",
        of_account(forget),
        scope="call",
        parameters=(ACCOUNT_ID, MAC),
        errors=(404, 503),
        dialect=DIALECT,
        answers={200: Answer("It was this one", _SCHEMA, _EXAMPLE)},
    ),
)
