"""One-time passwords on their way from a request to its call: in this process's memory, and nowhere else.

They are no parameter of the call, because those are written down. One that dies with the process is lost on purpose.
"""

from dataclasses import dataclass, field


@dataclass(slots=True)
class Codes:
    _kept: dict[str, str] = field(default_factory=dict, repr=False)

    def keep(self, request_id: str, code: str) -> None:
        self._kept[request_id] = code

    def take(self, request_id: str) -> str | None:
        """The call's password, once."""
        return self._kept.pop(request_id, None)

    def discard(self, request_id: str) -> None:
        self._kept.pop(request_id, None)

    def __len__(self) -> int:
        return len(self._kept)
