"""YAML whose every key knows its line. Scalars are read as YAML 1.2 does, so that 0101 stays a number to dial, 12:30 a
time and ``no`` a word."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

LARGEST = 256 << 10
"""Bytes."""
_INTEGER = re.compile(r"-?(0|[1-9]\d{0,14})", re.ASCII)
_FLOAT = re.compile(r"-?\d{1,9}\.\d{1,9}", re.ASCII)
_WORDS: Mapping[str, Any] = {"": None, "null": None, "~": None, "true": True, "false": False}

Path = tuple[str | int, ...]


class Malformed(Exception):
    def __init__(self, line: int, reason: str) -> None:
        super().__init__(reason)
        self.line = line


@dataclass(frozen=True, slots=True)
class Document:
    value: Any
    lines: Mapping[Path, int]
    """Line of each key and of each element of a list, from 1."""

    def nearest(self, wanted: Sequence[str | int]) -> tuple[Path, int]:
        """The part of the file that a validator means; what it has put in between is left out."""
        path: Path = ()
        for part in wanted:
            if (*path, part) in self.lines:
                path = (*path, part)
        return path, self.lines.get(path, 1)


def parse(text: str) -> Document:
    """Raises Malformed."""
    if len(text) > LARGEST:
        raise Malformed(1, f"is larger than {LARGEST >> 10} KiB")
    try:
        for event in yaml.parse(text, Loader=yaml.SafeLoader):
            if isinstance(event, yaml.AliasEvent):
                at = event.start_mark
                raise Malformed(at.line + 1 if at else 1, "aliases are not read here")
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        lines: dict[Path, int] = {}
        return Document(_value(root, (), lines) if root is not None else None, lines)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise Malformed(mark.line + 1 if mark else 1, f"is not YAML: {error.problem or error.context}") from None
    except yaml.YAMLError as error:
        raise Malformed(1, f"is not YAML: {str(error).splitlines()[0]}") from None
    except RecursionError:
        raise Malformed(1, "is nested too deeply") from None


def _value(node: yaml.Node, path: Path, lines: dict[Path, int]) -> Any:
    lines.setdefault(path, node.start_mark.line + 1)
    if isinstance(node, yaml.MappingNode):
        return _mapping(node, path, lines)
    if isinstance(node, yaml.SequenceNode):
        return [_value(each, (*path, n), lines) for n, each in enumerate(node.value)]
    return node.value if getattr(node, "style", None) is not None else _plain(node.value)


def _mapping(node: yaml.MappingNode, path: Path, lines: dict[Path, int]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in node.value:
        line = name.start_mark.line + 1
        if not isinstance(name, yaml.ScalarNode):
            raise Malformed(line, "a key is a word")
        if name.value in found:
            raise Malformed(line, f"{name.value}: stands here twice")
        lines[(*path, name.value)] = line
        found[name.value] = _value(value, (*path, name.value), lines)
    return found


def _plain(text: str) -> Any:
    if text in _WORDS:
        return _WORDS[text]
    if _INTEGER.fullmatch(text):
        return int(text)
    return float(text) if _FLOAT.fullmatch(text) else text
