"""Menus and mail, out of the configuration; for the engine and for the command line."""

from collections.abc import Collection

from engine import resources
from engine.config import Config
from engine.flows.conference.flow import CONFERENCE
from engine.flows.menus.flow import Menus
from engine.mail.outbox import Outbox

TRACKING = "call_tracking"
BESIDE = frozenset({TRACKING, CONFERENCE})
"""Flows that menus may lead to beside those of the table."""


def menus_of(config: Config, flows: Collection[str]) -> Menus:
    """The menus that ship, and the configuration's own, which win. Not read yet. ``flows``: what steps may ask for."""
    folders = (resources.folder("menus"), *([config.menus] if config.menus else ()))
    return Menus(folders, {*flows, *BESIDE})


def mail_of(config: Config) -> Outbox:
    return Outbox(config.state / "mail", config.recordings, config.mail)
