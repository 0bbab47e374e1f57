"""The conference, put together: its flows, and what commands ask of it."""

from collections.abc import Mapping
from dataclasses import dataclass

from engine.flows.conference.flow import CONFERENCE, CONFERENCE_CALL, Conference, ConferenceCall
from engine.flows.conference.sounds import RoomSounds
from engine.flows.conference.stay import Stay
from engine.media.library.library import Library
from engine.media.library.sounds import Sounds
from engine.media.objects.port import Objects
from engine.sessions.rooms import LiveRooms
from engine.sessions.services import Flow
from engine.store.port import Rooms


@dataclass(frozen=True, slots=True)
class Conferences:
    flows: Mapping[str, Flow]
    stay: Stay
    sounds: RoomSounds


def conference_of(store: Rooms, live: LiveRooms, library: Library, objects: Objects) -> Conferences:
    sounds = RoomSounds(Sounds(library, objects))
    stay = Stay(live, sounds)
    flows: Mapping[str, Flow] = {
        CONFERENCE: Conference(store, live, sounds, stay),
        CONFERENCE_CALL: ConferenceCall(store, live, sounds, stay),
    }
    return Conferences(flows, stay, sounds)
