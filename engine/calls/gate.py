"""The one gate before every originate, transfer and REFER (N9). Pure: the facts are handed in, a refusal is an error.

Closed ranges are shared-cost, premium and satellite numbers of which toll fraud lives; the list is by calling code and
follows ITU-T E.164 (assignments of country codes) and the national numbering plans that ITU publishes.
"""

from engine.calls.account import Account
from engine.calls.numbers import EMERGENCY, is_extension
from engine.errors import Forbidden

CLOSED_RANGES: dict[str, tuple[str, ...]] = {
    "premium": ("1900", "1976", "449", "4487", "33899", "3389", "49900", "39899", "34803", "34806", "34807", "91900",
                "61190", "979", "878"),
    "satellite": ("870", "881", "882", "883"),
}  # fmt: skip


def check(account: Account, number: str, caller_id: str, *, live_calls: int, by_phone: bool = False) -> None:
    """Let a dial to ``number`` (digits) pass, or raise Forbidden with the rule's name.

    ``live_calls`` counts the account's other calls. ``by_phone``: a person dialled it on a phone of ours; an emergency
    number then passes whatever the rules say. No engine-made call ever reaches one.
    """
    if number in EMERGENCY:
        if by_phone:
            return
        raise Forbidden(f"{number} is an emergency number: only a phone may dial it", rule="emergency")
    if not account.enabled:
        raise Forbidden("the account is disabled", rule="disabled")
    _check_caller_id(account, caller_id, by_phone=by_phone)
    if live_calls >= account.limits.concurrent_calls:
        raise Forbidden(
            f"the account has {live_calls} calls of {account.limits.concurrent_calls} allowed at once",
            rule="concurrent_calls",
        )
    if not is_extension(number) and not number.startswith("sip:"):
        _check_prefix(account, number)


def _check_caller_id(account: Account, caller_id: str, *, by_phone: bool) -> None:
    if not by_phone and caller_id not in account.caller_ids:
        raise Forbidden("the caller id is not one of the account's", rule="caller_id")


def _check_prefix(account: Account, number: str) -> None:
    allowed = account.limits.allowed_prefixes
    if allowed and not number.startswith(allowed):
        raise Forbidden("the number begins with no prefix allowed for the account", rule="prefix")
    for name, prefixes in CLOSED_RANGES.items():
        if name not in account.limits.open_ranges and number.startswith(prefixes):
            raise Forbidden(f"{name} numbers are closed for the account", rule=name)
