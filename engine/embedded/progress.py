"""Words for people, on standard error, while something takes its time."""

import sys


def say(line: str) -> None:
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()
