"""Who talks with whom in a call, shared by the verb that waits for the end of it and the controls that change it."""

from dataclasses import dataclass, field

from engine.calls.model import Leg


@dataclass(slots=True)
class Conversation:
    """``parties``: those whose end ends it, held ones too. ``changing``: controls under way that will decide who is in
    it; until they have, nobody's end ends it."""

    bridge: str
    parties: list[Leg] = field(default_factory=list)
    changing: int = 0
    given_up: bool = False
    """Who is left is left with nobody."""

    def over(self) -> bool:
        return not self.changing and (self.given_up or not all(leg.alive for leg in self.parties))

    def others(self, leg: Leg) -> list[Leg]:
        return [each for each in self.parties if each is not leg and each.alive]


@dataclass(slots=True)
class Consult:
    """An attended transfer under way. ``wish``: complete, cancel or swap, until it is taken. ``swapped``: the transferer
    talks to the transferee, and the target hears music."""

    transferer: Leg
    transferee: Leg
    target: Leg | None = None
    wish: str = ""
    swapped: bool = False


@dataclass(slots=True)
class Monitor:
    """Who listens, to whom, how (spy, whisper, barge); ``snoop``: the channel between them. ``attached``: to whom, how and in
    which bridge that talks, as it was last put into effect."""

    leg: Leg
    spied: Leg
    mode: str
    snoop: str = ""
    turn: int = 0
    bridge: str = ""
    attached: tuple[Leg, str, str] | None = None
