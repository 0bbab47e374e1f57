"""``trunkline accounts|routes|calls`` on a real database."""

import asyncio
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml

from engine import ids
from engine.calls.disposition import end_reason
from engine.calls.events import Event, Kind
from engine.calls.model import Call, replay
from engine.calls.record import records
from engine.cli import dispatch
from engine.store.accounts import PgAccounts
from engine.store.port import CallEvent, ClosedCall, LegRow, NewCall, NewLeg

T0 = datetime.now(UTC).replace(microsecond=250_001) - timedelta(minutes=1)
REQUEST = "57362de4f0"


@pytest.fixture
def cli(dsn: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    """Run a command; exit code, standard output, standard error."""
    config = tmp_path / "engine.yaml"
    settings = {
        "state": str(tmp_path),
        "objects": str(tmp_path),
        "recordings": str(tmp_path),
        "database": {"dsn": dsn},
        "asterisk": [{"ari_password": "x", "ami_secret": "x"}],
    }
    config.write_text(yaml.safe_dump(settings))

    async def run(*words: str):
        code = await asyncio.to_thread(dispatch, [*words, "--config", str(config)])
        told = capsys.readouterr()
        return code, told.out, told.err

    return run


async def told(cli, *words: str):
    """The JSON answer of a command that does well."""
    code, out, err = await cli(*words, "--json")
    assert code == 0, err
    return json.loads(out)


async def test_an_account_from_its_creation_to_its_next_secret(cli, database):
    made = await told(cli, "accounts", "create", "acme", "--country", "44", "--caller-id", "442071234567")
    assert made["account_number"] >= 1234
    first = await PgAccounts(database).identify("acme", made["auth"])
    assert first is not None
    assert first.account.caller_ids == {"442071234567"}
    again = await told(cli, "accounts", "rotate", "acme", "--scopes", "read,call")
    assert await PgAccounts(database).identify("acme", made["auth"]) is None
    second = await PgAccounts(database).identify("acme", again["auth"])
    assert second is not None
    assert second.scopes == {"read", "call"}
    (shown,) = await told(cli, "accounts", "list")
    assert (shown["account"], shown["country"], shown["time_zone"]) == ("acme", "44", "UTC")
    _, table, _ = await cli("accounts", "list")
    assert made["auth"] not in table
    assert "442071234567" in table


async def test_an_account_is_disabled_enabled_and_given_other_scopes(cli, database):
    made = await told(cli, "accounts", "create", "acme", "--country", "1")
    assert await told(cli, "accounts", "disable", "acme") == {"account": "acme", "enabled": False}
    assert await PgAccounts(database).identify("acme", made["auth"]) is None
    assert await told(cli, "accounts", "enable", "acme") == {"account": "acme", "enabled": True}
    assert await told(cli, "accounts", "scopes", "acme", "read") == {"account": "acme", "scopes": ["read"]}
    identity = await PgAccounts(database).identify("acme", made["auth"])
    assert identity is not None
    assert identity.scopes == {"read"}


async def test_caller_ids_and_limits(cli):
    await told(cli, "accounts", "create", "acme", "--country", "1")
    numbers = await told(cli, "accounts", "callerids", "acme", "--add", "15168148111", "15168148720")
    assert numbers["caller_ids"] == ["15168148111", "15168148720"]
    numbers = await told(cli, "accounts", "callerids", "acme", "--remove", "15168148111")
    assert numbers["caller_ids"] == ["15168148720"]
    words = ("agent_ring=20", "connect_prompt=off", "open_ranges=premium,satellite", "allowed_prefixes=")
    limits = (await told(cli, "accounts", "limits", "acme", *words))["limits"]
    assert (limits["agent_ring"], limits["connect_prompt"]) == (20, False)
    assert (limits["open_ranges"], limits["allowed_prefixes"]) == (["premium", "satellite"], [])
    assert (await told(cli, "accounts", "limits", "acme"))["limits"] == limits


async def test_routes(cli):
    await told(cli, "accounts", "create", "acme", "--country", "1", "--caller-id", "15168148111")
    everything = await told(cli, "routes", "add", "", "trunk", "carrier")
    await told(cli, "routes", "add", "1555", "deny", "--account", "acme")
    await told(cli, "routes", "add", "15557000001", "flow", "ivr", "--account", "acme")
    found = await told(cli, "routes", "try", "2125550000", "--account", "acme")
    assert found == {
        "number": "12125550000",
        "route": everything["id"],
        "endpoint": "PJSIP/12125550000@carrier",
        "refused_by": None,
    }
    for number, rule in (("15551234567", "route"), ("19005551234", "premium"), ("911", "emergency")):
        code, out, _ = await cli("routes", "try", number, "--account", "acme", "--json")
        assert (code, json.loads(out)["refused_by"]) == (1, rule)
    inbound = await told(cli, "routes", "try", "15557000001", "--account", "acme", "--inbound")
    assert (inbound["flow"], inbound["account"]) == ("ivr", "acme")
    assert len(await told(cli, "routes", "list")) == 3
    await told(cli, "routes", "remove", str(everything["id"]))
    assert len(await told(cli, "routes", "list")) == 2


WRONG = (
    (("accounts", "rotate", "nobody"), "nobody"),
    (("accounts", "create", "acme", "--country", "x"), "country"),
    (("accounts", "disable", "nobody"), "nobody"),
    (("accounts", "scopes", "nobody", "read"), "nobody"),
    (("accounts", "scopes", "acme", "everything"), "scopes"),
    (("accounts", "create", "a b", "--country", "1"), "account"),
    (("accounts", "create", "acme", "--country", "1", "--time-zone", "Mars/Olympus"), "time_zone"),
    (("accounts", "limits", "acme", "agent_ring=long"), "agent_ring"),
    (("accounts", "limits", "acme", "colour=red"), "colour"),
    (("routes", "remove", "12345"), "12345"),
    (("routes", "add", "abc", "trunk", "carrier"), "route"),
    (("routes", "add", "1", "trunk", "carrier", "--account", "nobody"), "nobody"),
    (("routes", "try", "12x", "--account", "nobody"), "nobody"),
    (("calls", "show", "ffffffffff"), "ffffffffff"),
    (("calls", "replay", "not-an-id"), "not-an-id"),
    (("calls", "hangup", "ffffffffff"), "ffffffffff"),
)


async def test_what_can_not_be_done_is_one_line_and_exit_code_1(cli):
    for words, says in WRONG:
        code, _, err = await cli(*words)
        assert code == 1, words
        assert says in err
        assert err.count("\n") == 1, err


def busy_call() -> list[Event]:
    def at(ms: int) -> datetime:
        return T0 + timedelta(milliseconds=ms)

    call = {
        "request_id": REQUEST,
        "account": "account_1",
        "flow": "click_to_call",
        "direction": "outbound",
        "params": {"agent_number": "919979270486", "customer_number": "918000680002", "caller_id": "15168148111"},
    }
    leg = {
        "leg_id": ids.leg_id(REQUEST, 1),
        "role": "agent",
        "number": "919979270486",
        "endpoint": "PJSIP/919979270486@carrier",
        "channel_id": ids.channel_id(REQUEST, 1),
        "server": "asterisk",
    }
    return [
        Event(Kind.CALL_CREATED, at(0), data=call, seq=1),
        Event(Kind.LEG_CREATED, at(1), 1, leg, 2),
        Event(Kind.LEG_DIALING, at(5), 1, {"channel": "PJSIP/carrier-00000001"}, 3),
        Event(Kind.LEG_ENDED, at(150), 1, {"sip_code": 486, "q850": 17, "hangup_by": "callee"}, 4),
        Event(Kind.CALL_ENDED, at(151), data={"end_reason": "busy"}, seq=5),
    ]


def leg_row(call: Call) -> LegRow:
    leg = call.legs[1]
    names = [name for name in LegRow.__dataclass_fields__ if name not in ("request_id", "server", "state")]
    values = {name: getattr(leg, name) for name in names}
    return LegRow(request_id=call.request_id, server=call.server, state=str(leg.state), **values)


@pytest.fixture
async def stored(journal) -> Call:
    events = busy_call()
    call = replay(events)
    leg = call.legs[1]
    assert end_reason(leg) == "busy"
    journal.append(
        NewCall(REQUEST, call.account, call.flow, call.direction, "e1", call.created_at, call.params),
        NewLeg(leg.leg_id, REQUEST, 1, leg.role, leg.number, leg.endpoint, leg.channel_id, 1, "asterisk",
               leg.created_at),
        *(CallEvent(REQUEST, event) for event in events),
        ClosedCall(REQUEST, call.ended_at, call.end_reason, None, reconciled=False, legs=(leg_row(call),),
                   records=records(call)),
    )  # fmt: skip
    await journal.committed()
    return call


async def test_a_call_is_listed_and_shown(cli, stored):
    (shown,) = await told(cli, "calls", "list", "--state", "ended")
    assert (shown["request_id"], shown["end_reason"]) == (REQUEST, "busy")
    assert await told(cli, "calls", "list", "--account", "account_2", "--state", "ended") == []
    whole = await told(cli, "calls", "show", REQUEST)
    assert len(whole["events"]) == 5
    assert whole["cdr"][0]["dial_status"] == "BUSY"
    code, text, _ = await cli("calls", "show", REQUEST)
    assert code == 0
    for part in ("+0.005", "leg.dialing", "486", "dial_status: BUSY", "919979270486"):
        assert part in text


async def test_replay_agrees_with_what_is_stored(cli, stored):
    assert (await told(cli, "calls", "replay", REQUEST))["same"] is True


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ("UPDATE calls SET end_reason = 'completed'", "call: end_reason"),
        ("UPDATE legs SET sip_code = 200", "leg 1: sip_code"),
        ("UPDATE cdr SET dial_status = 'ANSWER'", "CDR 1: dial_status"),
        ("DELETE FROM cdr", "CDRs: 0"),
        ("DELETE FROM call_events WHERE seq = 2", "replay"),
        ("DELETE FROM call_events WHERE seq = 5", "call: state"),
    ],
)
async def test_replay_tells_where_it_leads_elsewhere(cli, stored, database, change, says):
    async with database.acquire() as connection:
        await connection.execute(change)
    code, text, _ = await cli("calls", "replay", REQUEST)
    assert code == 1
    assert says in text


async def test_hangup_of_an_ended_call_is_refused(cli, stored):
    code, _, err = await cli("calls", "hangup", REQUEST)
    assert code == 1
    assert "ended already" in err


async def test_a_database_that_is_away_is_one_line(cli, server):
    server.stop()
    try:
        code, _, err = await cli("accounts", "list")
    finally:
        server.start()
    assert code == 1
    assert err.count("\n") == 1
