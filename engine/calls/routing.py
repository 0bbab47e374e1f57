"""Which endpoint a number leads to: the route table, longest prefix first."""

from collections.abc import Sequence
from dataclasses import dataclass

from engine.calls.numbers import is_extension


@dataclass(frozen=True, slots=True)
class Route:
    """Numbers that begin with ``prefix`` go to ``target``.

    ``direction`` outbound: kind ``trunk`` (target: a trunk's name), ``extension`` (the number is the PJSIP endpoint's
    name; target ignored) or ``deny``. ``direction`` inbound: kind ``flow`` (target: a flow's name), for numbers that
    trunks bring. ``account`` None: for all; for inbound the account that owns the call.
    """

    id: int
    direction: str
    prefix: str
    kind: str
    target: str
    account: str | None = None


class NoRoute(LookupError):
    """No route fits the number."""


def resolve(routes: Sequence[Route], number: str, account: str | None, *, direction: str = "outbound") -> Route:
    """The route with the longest prefix; an account's own wins over a shared one. Raises NoRoute."""
    fitting = [
        route
        for route in routes
        if route.direction == direction
        and number.startswith(route.prefix)
        and (direction == "inbound" or route.account in (None, account))
    ]
    if not fitting:
        raise NoRoute(number)
    return max(fitting, key=lambda route: (len(route.prefix), route.account is not None, -route.id))


def endpoint(routes: Sequence[Route], number: str, account: str | None) -> str:
    """Asterisk's dial string for ``number`` (digits alone, see engine.calls.numbers). Raises NoRoute.

    An extension is a phone of ours, whatever the prefixes say, unless a route names it in full.
    """
    if is_extension(number):
        routes = [route for route in routes if route.prefix == number]
    try:
        route = resolve(routes, number, account)
    except NoRoute:
        if is_extension(number):
            return f"PJSIP/{number}"
        raise
    if route.kind == "extension":
        return f"PJSIP/{number}"
    if route.kind == "trunk":
        return f"PJSIP/{number}@{route.target}"
    raise NoRoute(number)
