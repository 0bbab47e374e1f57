"""The reader of Asterisk's CEL file."""

import json
import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from engine.telephony.cel import CelFile

EXTRA = {"hangupcause": 17, "hangupsource": "PJSIP/trunk-00000001", "dialstatus": ""}


def line(kind: str, at: str, channel: str, extra: object = "") -> str:
    """As Asterisk 22 writes it: 20 quoted columns."""
    told = json.dumps(extra, separators=(",", ":")) if extra else ""
    columns = [kind, at, "", "", "", "", "", "s", "default", "PJSIP/trunk-00000001", "", "", "3", "", channel, channel]
    columns += ["", "", "", told]
    return ",".join('"' + column.replace('"', '""') + '"' for column in columns) + "\n"


def life(channel: str, start: int) -> str:
    return (
        line("CHAN_START", f"{start}.000001", channel)
        + line("APP_START", f"{start}.100000", channel)
        + line("ANSWER", f"{start + 1}.345907", channel)
        + line("BRIDGE_ENTER", f"{start + 1}.400000", channel)
        + line("HANGUP", f"{start + 5}.558879", channel, EXTRA)
        + line("CHAN_END", f"{start + 5}.558880", channel)
        + line("LINKEDID_END", f"{start + 5}.558881", channel)
    )


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "Trunkline.csv"


def test_life_of_a_channel(path: Path) -> None:
    path.write_text(life("tl-1", 1795306972) + life("tl-2", 1795306973))
    found = CelFile(path).lookup({"tl-1", "tl-9"})
    assert set(found) == {"tl-1"}
    history = found["tl-1"]
    assert history.created_at == datetime.fromtimestamp(1795306972.000001, UTC)
    assert history.answered_at == datetime.fromtimestamp(1795306973.345907, UTC)
    assert history.ended_at == datetime.fromtimestamp(1795306977.558879, UTC)
    assert (history.cause, history.hangup_source, history.channel) == (17, "PJSIP/trunk-00000001", history.channel)
    assert history.ended_by_party


def test_ended_by_us_and_never_answered(path: Path) -> None:
    ours = {"hangupcause": 16, "hangupsource": "", "dialstatus": ""}
    path.write_text(line("CHAN_START", "5.0", "tl-1") + line("HANGUP", "6.0", "tl-1", ours))
    history = CelFile(path).lookup({"tl-1"})["tl-1"]
    assert history.answered_at is None
    assert history.cause == 16
    assert not history.ended_by_party


def test_still_up_has_no_end(path: Path) -> None:
    path.write_text(line("CHAN_START", "5.0", "tl-1") + line("ANSWER", "6.0", "tl-1"))
    history = CelFile(path).lookup({"tl-1"})["tl-1"]
    assert history.answered_at is not None
    assert history.ended_at is None


def test_missing_file_tells_nothing(path: Path) -> None:
    cel = CelFile(path)
    assert cel.lookup({"tl-1"}) == {}
    assert cel.offset() == 0


def test_torn_last_line_is_left_out_and_offset_stands_before_it(path: Path) -> None:
    whole = life("tl-1", 100)
    path.write_text(whole + line("CHAN_START", "200.0", "tl-2")[:-9])
    cel = CelFile(path)
    assert set(cel.lookup({"tl-1", "tl-2"})) == {"tl-1"}
    assert cel.offset() == len(whole)


def test_line_torn_by_a_crash_costs_itself_alone(path: Path) -> None:
    path.write_text(line("HANGUP", "90.0", "tl-1", EXTRA)[:40] + life("tl-2", 100) + life("tl-3", 200))
    found = CelFile(path).lookup({"tl-1", "tl-2", "tl-3"})
    assert set(found) == {"tl-2", "tl-3"}
    assert found["tl-3"].created_at is not None


@pytest.mark.parametrize("extra", ["not json", "[1]", '{"hangupcause":"x"}'])
def test_odd_extra_is_no_error(path: Path, extra: str) -> None:
    row = line("HANGUP", "6.0", "tl-1").replace('""\n', '"' + extra.replace('"', '""') + '"\n')
    path.write_text(row)
    history = CelFile(path).lookup({"tl-1"})["tl-1"]
    assert history.cause is None
    assert history.ended_at == datetime.fromtimestamp(6, UTC)


def test_iso_times_are_read_too(path: Path) -> None:
    path.write_text(line("CHAN_START", "2026-11-22 00:22:52.037471", "tl-1"))
    history = CelFile(path).lookup({"tl-1"})["tl-1"]
    assert history.created_at == datetime(2026, 11, 22, 0, 22, 52, 37471, UTC)


def test_reading_starts_at_the_offset(path: Path) -> None:
    path.write_text(life("tl-1", 100))
    cel = CelFile(path)
    offset = cel.offset()
    with path.open("a") as file:
        file.write(life("tl-2", 200))
    assert set(cel.lookup({"tl-1", "tl-2"}, offset)) == {"tl-2"}


def test_truncated_file_is_read_from_its_beginning(path: Path) -> None:
    path.write_text(life("tl-1", 100) * 3)
    cel = CelFile(path)
    offset = cel.offset()
    os.truncate(path, 0)
    path.write_text(life("tl-2", 200))
    assert set(cel.lookup({"tl-2"}, offset)) == {"tl-2"}


def test_bookmark_lasts_and_finds_the_rotated_file(path: Path, tmp_path: Path) -> None:
    state = tmp_path / "cel.json"
    path.write_text(life("tl-0", 50))
    cel = CelFile(path, state)
    cel.remember(cel.offset())
    with path.open("a") as file:
        file.write(line("CHAN_START", "100.0", "tl-1"))
    path.rename(path.with_name("Trunkline.csv.1"))
    path.write_text(line("HANGUP", "105.0", "tl-1", EXTRA) + life("tl-2", 200))
    found = CelFile(path, state).lookup({"tl-0", "tl-1", "tl-2"})
    assert set(found) == {"tl-1", "tl-2"}
    assert found["tl-1"].created_at == datetime.fromtimestamp(100, UTC)
    assert found["tl-1"].cause == 17


def test_torn_bookmark_means_the_beginning(path: Path, tmp_path: Path) -> None:
    state = tmp_path / "cel.json"
    state.write_text('{"inode": 1')
    path.write_text(life("tl-1", 100))
    assert set(CelFile(path, state).lookup({"tl-1"})) == {"tl-1"}


def test_id_used_again_has_its_last_life(path: Path) -> None:
    path.write_text(life("tl-1", 100) + line("CHAN_START", "300.0", "tl-1"))
    history = CelFile(path).lookup({"tl-1"})["tl-1"]
    assert history.created_at == datetime.fromtimestamp(300, UTC)
    assert history.ended_at is None
