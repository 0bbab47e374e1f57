"""``trunkline ivr`` without an engine or a phone."""

import io

import pytest

from engine import cli


@pytest.fixture(autouse=True)
def nowhere(tmp_path, monkeypatch):
    """No configuration is found."""
    monkeypatch.chdir(tmp_path)
    for name in ("TRUNKLINE_STATE", "TRUNKLINE_CONFIG"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def menus(tmp_path):
    folder = tmp_path / "own"
    folder.mkdir()
    (folder / "desk.yaml").write_text("number: 600\nprompt: Press 1.\nkeys:\n  1: [say: 'You pressed one.', hangup]\n")
    return folder


def test_show_draws_a_tree(menus, capsys):
    assert cli.dispatch(["ivr", "show", "desk", "--menus", str(menus)]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "desk (600)",
        '├── "Press 1."',
        "├── [1]",
        '│   ├── say "You pressed one."',
        "│   └── hang up",
        "└── after 3 invalid or missing keys",
        "    └── hang up",
    ]


def test_try_walks_by_typed_keys(menus, capsys, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO("7\n1\n"))
    assert cli.dispatch(["ivr", "try", "desk", "--menus", str(menus)]) == 0
    out = capsys.readouterr().out
    assert out.count('"Press 1."') == 2
    assert out.endswith('"You pressed one."\n(hangs up, cause 16)\n(ended)\n')


def test_try_at_the_end_of_input_is_a_hang_up(menus, capsys, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    assert cli.dispatch(["ivr", "try", "desk", "--menus", str(menus)]) == 0
    assert capsys.readouterr().out.endswith("(left)\n")


@pytest.mark.parametrize(("at", "said"), [("2026-11-23T10:00", "open right now"), ("2026-12-25T10:00", "closed right")])
def test_try_goes_by_the_time_it_is_told(capsys, monkeypatch, at, said):
    monkeypatch.setattr("sys.stdin", io.StringIO("1\n9\n"))
    assert cli.dispatch(["ivr", "try", "welcome", "--at", at]) == 0
    assert said in capsys.readouterr().out


def test_check_names_file_line_and_key(menus, capsys):
    assert cli.dispatch(["ivr", "check", str(menus)]) == 0
    (menus / "bad.yaml").write_text("prompt: Press 1.\nkeys:\n  1: [dail: 101]\n")
    assert cli.dispatch(["ivr", "check", str(menus)]) == 1
    assert f"{menus}/bad.yaml:3: keys.1.0.dail: 'dail' is not known here" in capsys.readouterr().err


def test_a_menu_that_is_not_there(capsys):
    assert cli.dispatch(["ivr", "show", "nothing"]) == 1
    assert "no menu nothing; there are welcome" in capsys.readouterr().err


def test_list_names_menus_and_numbers(menus, capsys):
    assert cli.dispatch(["ivr", "list", "--menus", str(menus)]) == 0
    rows = [line.split()[:2] for line in capsys.readouterr().out.splitlines()]
    assert ["desk", "600"] in rows
    assert ["welcome", "15557000001"] in rows
