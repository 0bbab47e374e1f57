"""``trunkline calls hold``, ``transfer``, …: commands into a live call, done by the engine that has it."""

import argparse
from collections.abc import Mapping
from typing import Any

from engine.calls.model import replay
from engine.cli import database
from engine.cli.options import add_config
from engine.cli.output import add_json, as_json
from engine.commands import orders
from engine.errors import NotFound, StateConflict
from engine.ids import is_request_id
from engine.store.calls import PgCalls
from engine.store.orders import Orders
from engine.store.pool import Database

WITHIN = 15.0
"""Seconds for an engine to answer."""
_TO = ("to",)
ACTIONS: Mapping[str, tuple[str, tuple[str, ...], tuple[str, ...]]] = {
    "hold": ("a party hears music (without --leg the other side)", (), ()),
    "resume": ("it talks again", (), ()),
    "mute": ("nobody hears a party", (), ("direction",)),
    "unmute": ("it is heard again", (), ("direction",)),
    "transfer": ("connect the other party to a number; the one named by --leg (else our side) leaves", _TO, ()),
    "attended-transfer": ("let our side talk to a number first", _TO, ()),
    "complete": ("connect the two others of an attended transfer", (), ()),
    "cancel": ("drop the target of an attended transfer", (), ()),
    "swap": ("talk to the other one of an attended transfer", (), ()),
    "park": ("let a party wait in a slot", (), ("slot",)),
    "retrieve": ("connect a parked party to a number, else to whom it talked to last", (), _TO),
    "play": ("play a sound to one, or to all", ("media",), ()),
    "say": ("speak a text to one, or to all", ("text",), ("voice", "language")),
    "dtmf": ("press keys towards a party", ("digits",), ()),
    "record-start": ("record it", (), ("recording_option",)),
    "record-pause": ("record silence until record-resume", (), ()),
    "record-resume": ("go on recording", (), ()),
    "record-stop": ("end the recording", (), ()),
    "spy": ("let a supervisor listen", (), _TO),
    "whisper": ("let a supervisor be heard by our side alone", (), _TO),
    "barge": ("let a supervisor talk with all", (), _TO),
    "redirect": ("send a party into a menu: ivr:NAME", ("flow",), ()),
}
"""Action → help, fields that must be given, fields that may be."""


def register(actions: Any) -> None:
    for name, (told, needed, optional) in ACTIONS.items():
        parser = actions.add_parser(name, help=told)
        parser.add_argument("request_id", metavar="REQUEST_ID")
        for field in needed:
            parser.add_argument(field, metavar=field.upper())
        for field in optional:
            parser.add_argument(f"--{field.replace('_', '-')}", dest=field)
        parser.add_argument("--leg", default="", help="role or id of the leg it is about")
        add_config(parser)
        add_json(parser)
        parser.set_defaults(run=_runner(name.replace("-", "_"), needed + optional))


def _runner(action: str, names: tuple[str, ...]) -> Any:
    async def work(arguments: argparse.Namespace, store: Database) -> int:
        given = {name: value for name in names if (value := getattr(arguments, name)) is not None}
        return await order(arguments, store, action, given)

    return lambda arguments: database.run(work, arguments)


async def order(arguments: argparse.Namespace, store: Database, action: str, given: Mapping[str, str]) -> int:
    """Raises NotFound, StateConflict, InvalidFields, Forbidden, Unavailable: what the engine said."""
    request_id = arguments.request_id
    events = await PgCalls(store).events(request_id) if is_request_id(request_id) else None
    if not events:
        raise NotFound(f"no call has the request id {request_id}")
    if not replay(events).alive:
        raise StateConflict(f"call {request_id} has ended already")
    fields = orders.parse(action, given)
    answer = await Orders(store).ask(request_id, action, arguments.leg, fields, by="operator", within=WITHIN)
    told = orders.given_back(answer)
    if arguments.json:
        as_json({"request_id": request_id, "action": action, **told})
    else:
        print(f"{request_id}: {action} done", *(f"{name}={value}" for name, value in told.items()))
    return 0
