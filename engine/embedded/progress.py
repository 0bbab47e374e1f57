"""Words for people, on standard error, while something takes its time."""

import sys


def say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
