"""Every error of ours, in one tree.

::

    TrunklineError
    ├── ConfigError                 a file or setting is wrong; the message names it
    ├── RequestError                what somebody outside asked for can't be done (engine.api.problems has the statuses)
    │   ├── Unreadable              can't be parsed at all
    │   ├── Unauthenticated         no or wrong credentials
    │   ├── Forbidden               a gate or a scope says no; ``rule`` names it
    │   ├── NotFound                unknown, or of another account
    │   ├── StateConflict           exists, but its state forbids it
    │   ├── TooLarge                over a size limit
    │   ├── UnsupportedType         content type that is not spoken here
    │   ├── InvalidFields           ``fields`` has a reason for each
    │   ├── TooMany                 over a rate; ``retry_after`` seconds
    │   └── Unavailable             a part we need is away; ``retry_after`` seconds
    ├── TelephonyError              Asterisk, mapped at the edge by status code or class, never by text
    │   ├── LinkDown                no connection to that server
    │   ├── RequestTimedOut         no answer within the deadline
    │   ├── Gone                    the channel, bridge or playback is no more (404)
    │   ├── Clash                   its state forbids it, or that id exists already (409)
    │   ├── Refused                 anything else it refused; ``status`` has the code
    │   └── Unsupported             the door by which the caller came (FastAGI) can't do it; the text says what
    ├── OutsideError                a server that somebody outside named
    │   ├── AddressRefused          it is not on the public Internet
    │   └── FetchFailed             what it gave is not what was asked for; the text may be told
    ├── UnsafeValue                 a value that must not reach a dial string, header or AGI line
    └── StoreError
        ├── StoreAway               PostgreSQL can't be reached
        └── Duplicate               a unique key exists already; ``constraint`` names it
"""

from collections.abc import Mapping


class TrunklineError(Exception):
    """Root of all errors that this package raises on purpose."""


class ConfigError(TrunklineError):
    pass


class RequestError(TrunklineError):
    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class Unreadable(RequestError):
    pass


class Unauthenticated(RequestError):
    pass


class Forbidden(RequestError):
    def __init__(self, message: str, *, rule: str) -> None:
        super().__init__(message)
        self.rule = rule


class NotFound(RequestError):
    pass


class StateConflict(RequestError):
    pass


class TooLarge(RequestError):
    pass


class UnsupportedType(RequestError):
    pass


class InvalidFields(RequestError):
    def __init__(self, fields: Mapping[str, str], message: str = "invalid fields") -> None:
        super().__init__(message)
        self.fields = dict(fields)

    def __str__(self) -> str:
        return f"{self.message}: {'; '.join(f'{name} {reason}' for name, reason in self.fields.items())}"


class TooMany(RequestError):
    def __init__(self, message: str, *, retry_after: int = 1) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class Unavailable(RequestError):
    def __init__(self, message: str, *, retry_after: int = 5) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class TelephonyError(TrunklineError):
    pass


class LinkDown(TelephonyError):
    pass


class RequestTimedOut(TelephonyError):
    pass


class Gone(TelephonyError):
    pass


class Clash(TelephonyError):
    pass


class Refused(TelephonyError):
    def __init__(self, message: str, *, status: int) -> None:
        super().__init__(message)
        self.status = status


class Unsupported(TelephonyError):
    def __init__(self, what: str) -> None:
        super().__init__(f"a call that came by FastAGI can't have {what}; send it by Stasis() instead")
        self.what = what


class OutsideError(TrunklineError):
    pass


class AddressRefused(OutsideError):
    pass


class FetchFailed(OutsideError):
    pass


class UnsafeValue(TrunklineError):
    pass


class StoreError(TrunklineError):
    pass


class StoreAway(StoreError):
    pass


class Duplicate(StoreError):
    def __init__(self, message: str, *, constraint: str) -> None:
        super().__init__(message)
        self.constraint = constraint
