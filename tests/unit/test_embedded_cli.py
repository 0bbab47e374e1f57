import json
import subprocess
import sys
from pathlib import Path

import pytest

from engine import cli
from engine.cli.demo_call import line


def test_help_names_every_command(capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as ended:
        cli.main(["--help"])
    assert ended.value.code == 0
    shown = capsys.readouterr().out
    assert all(f"    {name}" in shown for name in cli.COMMANDS)


def test_no_command_is_a_wrong_question(capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as ended:
        cli.main([])
    assert ended.value.code == 2
    assert "COMMAND" in capsys.readouterr().err


@pytest.mark.parametrize("name", sorted(cli.COMMANDS))
def test_every_command_of_the_table_explains_itself(name: str, capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as ended:
        cli.main([name, "--help"])
    assert ended.value.code == 0
    assert f"trunkline {name}" in capsys.readouterr().out


def test_help_imports_no_command():
    code = "import sys; from engine import cli\ntry: cli.main(['--help'])\nexcept SystemExit: pass\nprint(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "engine.cli.run" not in done.stdout.split()
    assert "pydantic" not in done.stdout.split()


def test_an_error_of_ours_is_one_line_and_exit_code_1(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    wrong = tmp_path / "engine.yaml"
    wrong.write_text("engine_id: e1\nnonsense: 1\n")
    assert cli.dispatch(["check-config", "--config", str(wrong)]) == 1
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.startswith(f"trunkline check-config: {wrong}: ")
    assert "nonsense" in shown.err
    assert shown.err.count("\n") == 1


def test_a_good_configuration_is_said_to_be_good(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    good = tmp_path / "engine.yaml"
    settings = {
        "state": str(tmp_path), "objects": str(tmp_path), "recordings": str(tmp_path),
        "database": {"dsn": "postgresql://x:hush@h/d"}, "asterisk": [{"ari_password": "hush", "ami_secret": "hush"}],
    }  # fmt: skip
    good.write_text(json.dumps(settings))
    assert cli.dispatch(["check-config", "--config", str(good)]) == 0
    shown = capsys.readouterr().out
    assert "good" in shown
    assert "hush" not in shown


def test_doctor_speaks_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    code = cli.dispatch(["doctor", "--json", "--state", str(tmp_path / "var")])
    findings = json.loads(capsys.readouterr().out)
    assert code == int(any(item["level"] == "broken" for item in findings))
    assert {"name resolution", "Asterisk", "PostgreSQL"} <= {item["subject"] for item in findings}
    assert not (tmp_path / "var").exists()


def test_a_line_of_the_timeline_leaves_out_what_is_not_known():
    event = {"type": "leg.ended", "data": {"sip_code": 486, "q850": None, "hangup_by": "callee", "x": ""}}
    assert line(event) == "leg.ended         sip_code=486 hangup_by=callee"
