"""What a menu file may say; mistakes are told by file, line and key."""

from datetime import datetime

import numpy as np
import pytest
import soundfile

from engine.flows.menus import check, hours
from engine.flows.menus.book import BadMenus
from engine.flows.menus.draw import tree
from engine.flows.table import FLOWS

GOOD = """\
number: 600
prompt: Press 1.
keys:
  1: [say: Hello., repeat]
"""


def written(folder, **files):
    for name, text in files.items():
        (folder / f"{name}.yaml").write_text(text)
    return [folder]


def problems(folder, **files):
    return [str(each).removeprefix(f"{folder}/") for each in check.load(written(folder, **files), FLOWS)[1]]


def test_the_menus_that_ship_are_good():
    book = check.strict(check_folders())
    assert book.numbers["15557000001"] == "welcome"
    assert set(book.entries["welcome"].menu.keys) == {"1", "2", "0", "9"}
    assert book.entries["welcome"].menu.tries == 3


def check_folders():
    from engine import resources

    return [resources.folder("menus")]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("prompt: [", "m.yaml:1: is not YAML"),
        ("- a\n- b\n", "m.yaml:1: is no menu"),
        ("", "m.yaml:1: is no menu"),
        ("prompt: a\nprompt: b\n", "m.yaml:2: prompt: stands here twice"),
        ("prompt: &a hello\ngreeting: *a\n", "m.yaml:2: aliases are not read here"),
        ("prompt: Hello.\n", "m.yaml:1: needs keys, or steps under first"),
        ("keys:\n  1: [repeat]\n", "m.yaml:1: has keys, and needs a prompt"),
        ("name: other\n" + GOOD, "m.yaml:1: name: is 'other' in a file called m.yaml"),
        (GOOD + "promt: Hello.\n", "m.yaml:5: promt: 'promt' is not known here"),
        (GOOD + "tries: many\n", "m.yaml:5: tries: Input should be a valid integer"),
        (GOOD + "tries: 0\n", "m.yaml:5: tries: Input should be greater than or equal to 1"),
        (GOOD + "  x: [repeat]\n", "m.yaml:5: keys.x: String should match"),
        (GOOD + "  2: [reepat]\n", "m.yaml:5: keys.2.0: no step is called 'reepat'"),
        (GOOD + "  2:\n    - say: Hi\n      hangup:\n", "m.yaml:6: keys.2.0: is one step, and has 2 of them"),
        (GOOD + "  2:\n    - dial: {to: 101, rings: 5}\n", "m.yaml:6: keys.2.0.dial.rings: 'rings' is not known here"),
        (GOOD + "  2:\n    - dial: abc\n", "m.yaml:6: keys.2.0.dial: must be 7 to 15 digits"),
        (GOOD + "  2: [dial: 911]\n", "m.yaml:5: keys.2.0.dial: is an emergency number"),
        (GOOD + "  2:\n    - play: gone.wav\n", "m.yaml:6: keys.2.0.play: no sound file is at"),
        (GOOD + "  2: [menu: nowhere]\n", "m.yaml:5: keys.2.0.menu: no menu is called 'nowhere'"),
        (GOOD + "  2: [flow: nowhere]\n", "m.yaml:5: keys.2.0.flow: no flow is called 'nowhere'"),
        (GOOD + "  2: [hours: {of: office}]\n", "m.yaml:5: keys.2.0.hours: no hours are called 'office'"),
        (GOOD + "  2: [say: 'You are {who}.']\n", "m.yaml:5: keys.2.0.say: nothing is gathered into 'who'"),
        (GOOD + "  2: [say: 'Hello <b>you</b>']\n", "m.yaml:5: keys.2.0.say: text is plain text"),
        (GOOD + "  2: [say: {text: Hi, voice: Nobody}]\n", "m.yaml:5: keys.2.0.say: voice"),
        (GOOD + "  2: [hangup, say: Hello.]\n", "m.yaml:5: keys.2.1: is never reached"),
        (GOOD + "  2: [voicemail: 'not@']\n", "m.yaml:5: keys.2.0.voicemail: String should match"),
        (GOOD + "number: 12\n", "m.yaml:5: number: stands here twice"),
        (GOOD + "failed: [repeat]\n", "m.yaml:5: failed.0: goes in a circle without asking for a key: m > m"),
        (GOOD + "hours: {office: {open: {mon: 9-17}}}\n", "m.yaml:5: hours.office.open.mon: '9-17' is not a time span"),
        (GOOD + "hours: {office: {open: {moon: '09:00-17:00'}}}\n", "m.yaml:5: hours.office: 'moon' is not a day"),
        (GOOD + "hours: {o: {zone: Mars/Base, open: {mon: '09:00-17:00'}}}\n", "m.yaml:5: hours.o.zone: no time zone"),
        (GOOD + "hours: {o: {open: {mon: '09:00-17:00'}, holidays: [02-30]}}\n", "m.yaml:5: hours.o.holidays.0: '02-30'"),
        ("[" * 3000, "m.yaml:1: is"),
    ],
)  # fmt: skip
def test_a_mistake_is_told_with_its_line_and_key(tmp_path, text, told):
    (first, *_) = problems(tmp_path, m=text)
    assert first.startswith(told)


def test_circles_through_several_files_are_found(tmp_path):
    found = problems(tmp_path, a="first: [menu: b]\n", b="first: [menu: c]\n", c="first:\n  - say: Hm.\n  - menu: a\n")
    assert found[0] == "c.yaml:3: first.1.menu: goes in a circle without asking for a key: a > b > c > a"


def test_a_circle_that_asks_is_none(tmp_path):
    both = "prompt: Press 1.\nkeys:\n  1: [menu: {}]\n"
    assert problems(tmp_path, a=both.format("b"), b=both.format("a")) == []


def test_two_menus_of_one_number_are_told(tmp_path):
    assert problems(tmp_path, a=GOOD, b=GOOD) == ["b.yaml:1: number: 600 leads to a already"]


def test_sounds_must_be_what_asterisk_plays(tmp_path):
    soundfile.write(tmp_path / "good.wav", np.zeros(800), 8000, subtype="PCM_16")
    soundfile.write(tmp_path / "fast.wav", np.zeros(800), 44100, subtype="PCM_16")
    (tmp_path / "text.wav").write_text("not a sound")
    found = problems(
        tmp_path, m="first:\n  - play: good.wav\n  - play: sound:hello\n  - play: fast\n  - play: text.wav\n"
    )
    assert [each.split(": ")[0] for each in found] == ["m.yaml:4", "m.yaml:5"]
    assert "8 kHz" in found[0]
    assert "is no sound file" in found[1]


def test_a_menu_that_is_wrong_leaves_the_others_alone_but_those_that_need_it(tmp_path):
    needs = "prompt: Press 1.\nkeys:\n  1: [menu: bad]\n"
    book, found = check.load(written(tmp_path, good=GOOD, bad="prompt: 1", needs=needs), FLOWS)
    assert set(book.entries) == {"good"}
    assert [each.file.stem for each in found] == ["bad", "needs"]
    with pytest.raises(BadMenus, match=r"bad\.yaml:1"):
        check.strict([tmp_path], FLOWS)


def test_numbers_and_words_stay_as_they_were_written(tmp_path):
    text = "prompt: no\nnumber: 0600\nkeys:\n  0: [dial: 0101]\n  1: [say: 12:30]\n"
    menu = check.strict(written(tmp_path, m=text)).entries["m"].menu
    assert menu.number == ("0600",)
    assert menu.keys["0"][0].dial.to[0].number == "0101"
    assert menu.keys["1"][0].say[0].any == "12:30"


def test_menus_within_a_menu_have_names_of_their_own(tmp_path):
    text = "prompt: Press 1.\nkeys:\n  1:\n    - menu: {prompt: Press 2., keys: {2: [back]}}\n"
    book = check.strict(written(tmp_path, m=text))
    assert set(book.entries) == {"m", "m.1"}
    assert book.entries["m.1"].above == "m"
    drawn = tree(book, "m")
    assert "menu m.1" in drawn
    assert "go back" in drawn


# -- opening hours -----------------------------------------------------------------------------------------------------

WEEK = hours.Hours(
    {day: hours.spans("09:00-12:00, 13:00-17:00") for day in hours.days("mon-fri")} | {5: hours.spans("22:00-02:00")},
    {"2026-12-25": (), "01-01": (), "2026-12-24": hours.spans("09:00-10:00")},
)


@pytest.mark.parametrize(
    ("when", "is_open"),
    [
        ("2026-11-23T08:59", False), ("2026-11-23T09:00", True), ("2026-11-23T12:00", False),
        ("2026-11-23T16:59", True), ("2026-11-23T17:00", False), ("2026-11-28T21:59", False),
        ("2026-11-28T22:00", True), ("2026-11-29T01:59", True), ("2026-11-29T02:00", False),
        ("2026-12-25T09:30", False), ("2027-01-01T09:30", False), ("2026-12-24T09:30", True),
        ("2026-12-24T10:30", False),
    ],
)  # fmt: skip
def test_hours_know_spans_nights_and_holidays(when, is_open):
    assert WEEK.open_at(datetime.fromisoformat(when)) is is_open


def test_days_go_over_the_end_of_the_week():
    assert hours.days("fri-mon") == (4, 5, 6, 0)
    assert hours.days("mon, wed") == (0, 2)
