"""``trunkline doctor``: name what is wrong on this machine, and how to mend it."""

import argparse
import json
from dataclasses import asdict
from typing import TYPE_CHECKING

from engine.cli.options import add_state
from engine.embedded import doctor, environment, facts

if TYPE_CHECKING:
    from engine.cli import Subparsers

_MARKS = {"good": "ok", "warning": "!", "broken": "BAD"}


def register(subparsers: "Subparsers") -> None:
    parser = subparsers.add_parser(
        "doctor",
        description="Look at name resolution, Asterisk, its configuration, ports, disk, clock and PostgreSQL; name "
        "what is wrong and how to mend it. Exit code 1 when something must be mended.",
    )
    add_state(parser)
    parser.add_argument("--json", action="store_true", help="findings as JSON")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    findings = doctor.judge(facts.gather(environment.read(state=arguments.state)))
    if arguments.json:
        print(json.dumps([asdict(finding) for finding in findings], indent=1))
    else:
        for finding in findings:
            print(f"{_MARKS[finding.level]:<4} {finding.subject}: {finding.message}")
            if finding.mend:
                print(f"     mend: {finding.mend}")
    return 1 if any(finding.level == "broken" for finding in findings) else 0
