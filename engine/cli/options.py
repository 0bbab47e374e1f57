"""Options that several commands share."""

import argparse
from pathlib import Path


def add_state(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--state", type=Path, metavar="FOLDER", help="state folder of the stack (TRUNKLINE_STATE, else ./var)"
    )


def add_config(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--config",
        metavar="FILE",
        help="configuration (TRUNKLINE_CONFIG, else engine.yaml of the state folder, else /etc/trunkline)",
    )
