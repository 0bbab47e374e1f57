import dataclasses

import pytest

from engine.calls import gate
from engine.calls.account import Account, Limits
from engine.calls.routing import NoRoute, Route, endpoint, resolve
from engine.errors import Forbidden

ACCOUNT = Account("account_1", 1234, "91", frozenset({"15168148111"}))
CALLER = "15168148111"


def limited(**limits) -> Account:
    return dataclasses.replace(ACCOUNT, limits=Limits(**limits))


def refused(account: Account, number: str, caller: str = CALLER, live: int = 0, *, by_phone: bool = False) -> str:
    with pytest.raises(Forbidden) as refusal:
        gate.check(account, number, caller, live_calls=live, by_phone=by_phone)
    return refusal.value.rule


def test_an_ordinary_number_passes():
    gate.check(ACCOUNT, "919979270001", CALLER, live_calls=499)
    gate.check(ACCOUNT, "101", CALLER, live_calls=0)


def test_rules_and_their_names():
    assert refused(ACCOUNT, "919979270001", "15550000000") == "caller_id"
    assert refused(ACCOUNT, "919979270001", live=500) == "concurrent_calls"
    assert refused(ACCOUNT, "19005551234") == "premium"
    assert refused(ACCOUNT, "881612345678") == "satellite"
    assert refused(limited(allowed_prefixes=("91",)), "15551234567") == "prefix"


def test_nothing_is_dialled_for_a_disabled_account_but_help():
    disabled = dataclasses.replace(ACCOUNT, enabled=False)
    assert refused(disabled, "919979270001") == "disabled"
    assert refused(disabled, "101", by_phone=True) == "disabled"
    gate.check(disabled, "112", "101", live_calls=0, by_phone=True)


def test_a_closed_range_can_be_opened():
    gate.check(limited(open_ranges=("premium",)), "19005551234", CALLER, live_calls=0)


def test_emergency_numbers_are_for_phones_whatever_the_rules_say():
    assert refused(ACCOUNT, "112") == "emergency"
    gate.check(limited(concurrent_calls=0), "112", "", live_calls=9, by_phone=True)


def test_a_phone_needs_no_caller_id_of_the_account():
    gate.check(ACCOUNT, "102", "101", live_calls=0, by_phone=True)
    assert refused(ACCOUNT, "19005551234", "101", by_phone=True) == "premium"


ROUTES = [
    Route(1, "outbound", "", "trunk", "carrier"),
    Route(2, "outbound", "91", "trunk", "india"),
    Route(3, "outbound", "91", "trunk", "own", account="account_2"),
    Route(4, "outbound", "9190", "deny", ""),
    Route(5, "outbound", "1555", "extension", ""),
    Route(6, "inbound", "1555", "flow", "welcome", account="account_2"),
]


@pytest.mark.parametrize(
    ("number", "account", "expected"),
    [
        ("15168148111", "account_1", "PJSIP/15168148111@carrier"),
        ("919979270001", "account_1", "PJSIP/919979270001@india"),
        ("919979270001", "account_2", "PJSIP/919979270001@own"),
        ("15550001", "account_1", "PJSIP/15550001"),
    ],
)
def test_the_longest_prefix_wins_and_an_accounts_own_route_before_a_shared_one(number, account, expected):
    assert endpoint(ROUTES, number, account) == expected


def test_extensions_need_no_route_and_denied_numbers_have_none():
    assert endpoint([], "101", "account_1") == "PJSIP/101"
    assert endpoint(ROUTES, "101", "account_1") == "PJSIP/101", "the route of all numbers is for numbers"
    assert endpoint([Route(9, "outbound", "911", "trunk", "carrier")], "911", None) == "PJSIP/911@carrier"
    with pytest.raises(NoRoute):
        endpoint(ROUTES, "919012345678", "account_1")
    with pytest.raises(NoRoute):
        endpoint([], "919979270001", "account_1")


def test_inbound_numbers_lead_to_flows():
    assert resolve(ROUTES, "15557000001", None, direction="inbound").target == "welcome"
