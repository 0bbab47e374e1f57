"""The one strict serializer: whatever goes to ARI, AMI, AGI or a dial string passes here.

Each function returns the text that may be sent, or raises UnsafeValue. All are allow-lists: what is not known to be
harmless is refused, never repaired, because a repaired number dials somebody else. A refusal names the kind of value
and never shows it: it may be hostile, or secret.
"""

import re
from collections.abc import Mapping

from engine.errors import UnsafeValue

_NUMBER = re.compile(r"\+?[0-9]{1,20}")
_NAME = r"[A-Za-z0-9][A-Za-z0-9_\-]{0,79}"
_ENDPOINT = re.compile(
    rf"PJSIP/(?:\+?[0-9]{{1,20}}@)?{_NAME}"
    rf"|PJSIP/{_NAME}/sip:[A-Za-z0-9_.+\-]{{1,64}}@[A-Za-z0-9][A-Za-z0-9.\-]{{0,252}}(?::[0-9]{{1,5}})?"
)
_IDENTIFIER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.:\-]{0,149}")
_VARIABLE = re.compile(r"(?:[A-Za-z_][A-Za-z0-9_]{0,79})(?:\([A-Za-z0-9_\-:.]{0,80}\))?")
_VALUE = re.compile(r"[A-Za-z0-9 _.:+@/=*#~\-]{0,1024}")
_DTMF = re.compile(r"[0-9A-Da-d*#]{1,64}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_PATH = r"(?!.*\.\.)[A-Za-z0-9_/][A-Za-z0-9_ ./+@~\-]{0,500}"
_MEDIA = re.compile(
    rf"sound:{_PATH}"
    rf"|recording:{_PATH}"
    r"|tone:[a-z0-9!+*/]{1,80}(?:;tonezone=[a-z]{2,3})?"
    r"|digits:[0-9*#]{1,64}"
    r"|number:[0-9]{1,15}"
    r"|characters:[A-Za-z0-9]{1,64}"
)
_HEADER_LIMIT = 1024
"""Longest header line that Asterisk's manager reads (AST_MAX_MANHEADERS and its line buffer of 1025 bytes)."""


def number(text: str) -> str:
    """A telephone number or extension: digits with an optional ``+``."""
    return _checked(_NUMBER, text, "number")


def endpoint(text: str) -> str:
    """A dial string: ``PJSIP/name``, ``PJSIP/number@name`` or ``PJSIP/name/sip:user@host``, and no other technology."""
    return _checked(_ENDPOINT, text, "endpoint")


def identifier(text: str) -> str:
    """Id or name of a channel, bridge, playback, recording or context, as it stands in a URL path."""
    return _checked(_IDENTIFIER, text, "identifier")


def media_uri(text: str) -> str:
    """What ARI can play. No comma, because ARI takes it for the next URI, and no way up out of a folder."""
    return _checked(_MEDIA, text, "media URI")


def dtmf(text: str) -> str:
    return _checked(_DTMF, text, "DTMF string")


def variable(name: str, value: str) -> tuple[str, str]:
    """A channel variable or function with its value; nothing that Asterisk could expand or take for a separator."""
    return _checked(_VARIABLE, name, "variable name"), _checked(_VALUE, value, f"value of {name}")


def variables(values: Mapping[str, str]) -> dict[str, str]:
    return dict(variable(name, value) for name, value in values.items())


def party(caller_id: str) -> str:
    """``"15551234567" <15551234567>``: a caller id as CONNECTEDLINE(all) and CALLERID(all) take it."""
    checked = number(caller_id)
    return f'"{checked}" <{checked}>'


def header_name(text: str) -> str:
    return _checked(re.compile(r"[A-Za-z][A-Za-z0-9\-]{0,63}"), text, "header name")


def header_value(text: str) -> str:
    """A value of one AMI header: any text that stays on its line."""
    if _CONTROL.search(text):
        raise UnsafeValue("a header value must not hold control characters or line ends")
    if len(text.encode()) > _HEADER_LIMIT:
        raise UnsafeValue(f"a header value must not be longer than {_HEADER_LIMIT} bytes")
    return text


def agi_argument(text: str) -> str:
    """One argument of an AGI command, quoted, so that it stays one argument of one line."""
    quoted = header_value(text).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{quoted}"'


def _checked(pattern: re.Pattern[str], text: str, what: str) -> str:
    if not isinstance(text, str) or pattern.fullmatch(text) is None:
        raise UnsafeValue(f"not an acceptable {what}")
    return text
