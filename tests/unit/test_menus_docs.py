"""docs/menus.md: its YAML is good, and its Python is a flow."""

import re
from inspect import iscoroutinefunction
from pathlib import Path

from engine.flows.menus import check
from engine.flows.menus.create import TRACKING
from engine.flows.table import FLOWS

PAGE = (Path(__file__).resolve().parents[2] / "docs/menus.md").read_text(encoding="utf-8")


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


def test_every_example_of_yaml_is_good(tmp_path):
    for n, text in enumerate(blocks("yaml")):
        whole = text if "hours:\n" not in text[:7] else text + "first: [hours: {of: office, open: [hangup]}]\n"
        (tmp_path / f"menu{n}.yaml").write_text(whole)
    assert len(check.strict([tmp_path], {*FLOWS, TRACKING}).entries) == 3


def test_the_example_of_python_is_a_flow():
    (text,) = blocks("python")
    names = {}
    exec(compile(text, "docs/menus.md", "exec"), names)
    assert iscoroutinefunction(names["front_desk"])
