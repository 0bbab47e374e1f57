"""The simulator's pure parts: tones, call files, what its results say, and the front's ear."""

import json
from itertools import pairwise
from pathlib import Path

import pytest

from engine.embedded import carrier
from engine.embedded.carrier_front import is_deaf
from engine.errors import ConfigError, UnsafeValue
from engine.telephony.provision import Folders


@pytest.fixture
def folders(tmp_path: Path) -> Folders:
    names = ("etc", "modules", "data", "var", "run", "log", "spool", "db", "keys")
    made = Folders(**{name: tmp_path / "sim" / name for name in names})
    made.create()
    return made


def test_tones_lie_within_one_octave_and_apart_for_neighbours() -> None:
    tones = [carrier.tone_hz(f"9199792{n:05d}") for n in range(10000)]
    assert min(tones) == 1010
    assert max(tones) == 2000 < 2 * min(tones)
    assert all(abs(one - two) >= 100 for one, two in pairwise(tones))
    assert carrier.tone_hz("919979270001") == 1380
    assert carrier.tone_hz("7") == carrier.tone_hz("0007")


def test_early_media_is_an_octave_below() -> None:
    assert carrier.early_tone_hz("919979276002") == carrier.tone_hz("919979276002") / 2


@pytest.mark.parametrize(
    ("packet", "deaf"),
    [
        (b"INVITE sip:919979270408@127.0.0.1:5080 SIP/2.0\r\n", True),
        (b"CANCEL sip:919979270408@127.0.0.1:5080 SIP/2.0\r\n", True),
        (b"ACK sip:919979270408;phone=1@127.0.0.1 SIP/2.0\r\n", True),
        (b"INVITE sip:919979270001@127.0.0.1:5080 SIP/2.0\r\nTo: <sip:0408@x>\r\n", False),
        (b"INVITE sip:127.0.0.1:0408 SIP/2.0\r\n", False),
        (b"SIP/2.0 200 OK\r\nTo: <sip:919979270408@x>\r\n", False),
        (b"", False),
        (b"\r\n\r\n", False),
    ],
)
def test_who_is_not_answered(packet: bytes, deaf: object) -> None:
    assert is_deaf(packet) is deaf


def test_a_call_file_says_who_calls_whom_and_what_is_pressed(folders: Folders) -> None:
    path = carrier.place_inbound(
        folders, "15550001234", "15557000001", script=[(1.5, "1"), (2, ""), (0.5, "9#")], hangup_after=7.5
    )
    assert path.parent == folders.spool / "outgoing"
    lines = path.read_text().splitlines()
    assert "Channel: PJSIP/15557000001@engine" in lines
    assert "CallerID: 15550001234 <15550001234>" in lines
    assert "Setvar: script=1.5:1&2:&0.5:9#" in lines
    assert "Setvar: hangup_after=7.5" in lines


@pytest.mark.parametrize(
    ("number", "called", "keys"),
    [
        ("1555\nSet: x", "15557000001", ""),
        ("15550001234", "101@evil", ""),
        ("15550001234", "15557000001", "1\nApplication: System"),
        ("", "15557000001", ""),
    ],
)
def test_a_call_file_takes_no_lines_of_others(folders: Folders, number: str, called: str, keys: str) -> None:
    with pytest.raises(UnsafeValue):
        carrier.place_inbound(folders, number, called, script=[(1, keys)])
    assert not list((folders.spool / "outgoing").iterdir())


def test_results_are_read_in_order_and_half_written_ones_left_out(tmp_path: Path) -> None:
    row = {
        "number": "918000680002",
        "caller": "1",
        "answered": True,
        "started": 2.0,
        "answered_at": 2.5,
        "ended": 3.0,
        "heard": "918000680002-2.wav",
        "received_dtmf": "",
        "pressed": "",
        "tone_hz": 1750,
        "call_id": "x",
    }
    (tmp_path / "918000680002-2.json").write_text(json.dumps(row))
    (tmp_path / "918000680002-1.json").write_text(json.dumps({**row, "started": 1.0, "heard": None}))
    (tmp_path / "918000680002-3.json").write_text('{"number": "9180006')
    (tmp_path / "12-3.json").write_text(json.dumps({**row, "number": "12"}))
    found = carrier.results(tmp_path, "918000680002")
    assert [heard.started for heard in found] == [1.0, 2.0]
    assert [heard.wav for heard in found] == [None, tmp_path / "918000680002-2.wav"]
    assert len(carrier.results(tmp_path)) == 3


def test_a_results_folder_that_breaks_a_dialplan_is_refused(folders: Folders, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="path"):
        carrier.render_carrier(
            folders, "127.0.0.1:5081", (20000, 20999), tmp_path / "a,b", "127.0.0.1:5060", public="127.0.0.1:5080"
        )
