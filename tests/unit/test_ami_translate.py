"""AMI events as Asterisk 22 sends them, header names in lower case."""

from engine.telephony.ami.translate import translate
from engine.telephony.manager import ContactStatus, FullyBooted, PeerStatus, ShuttingDown, UserEvent


def test_fully_booted() -> None:
    headers = {"event": "FullyBooted", "privilege": "system,all", "uptime": "676", "lastreload": "676", "status": "x"}
    assert translate(headers, "a") == FullyBooted("a", 676)
    assert translate({"event": "FullyBooted"}, "a") == FullyBooted("a", None)


def test_shutdown() -> None:
    headers = {"event": "Shutdown", "shutdown": "Cleanly", "restart": "False"}
    assert translate(headers, "a") == ShuttingDown("a", restart=False)
    assert translate(headers | {"restart": "True"}, "a") == ShuttingDown("a", restart=True)


def test_contact_status() -> None:
    headers = {
        "event": "ContactStatus",
        "uri": "sip:101@127.0.0.1:5061",
        "contactstatus": "Reachable",
        "aor": "101",
        "endpointname": "101",
        "roundtripusec": "1250",
    }
    assert translate(headers, "a") == ContactStatus("a", "101", "101", "sip:101@127.0.0.1:5061", "Reachable", 0.00125)
    removed = translate(headers | {"contactstatus": "Removed", "roundtripusec": "N/A"}, "a")
    assert isinstance(removed, ContactStatus)
    assert removed.round_trip is None


def test_peer_status() -> None:
    headers = {"event": "PeerStatus", "channeltype": "PJSIP", "peer": "PJSIP/101", "peerstatus": "Unreachable"}
    assert translate(headers, "a") == PeerStatus("a", "PJSIP/101", "Unreachable")


def test_user_event_has_the_senders_fields_alone() -> None:
    headers = {
        "event": "UserEvent",
        "privilege": "user,all",
        "timestamp": "1795308533.993184",
        "systemname": "x",
        "actionid": "action/1",
        "userevent": "Trunkline",
        "command": "hangup",
    }
    assert translate(headers, "a") == UserEvent("a", "Trunkline", {"command": "hangup"})


def test_what_is_unknown_is_nothing() -> None:
    assert translate({"event": "Newchannel", "channel": "x"}, "a") is None
    assert translate({"response": "Success"}, "a") is None
    assert translate({}, "a") is None
