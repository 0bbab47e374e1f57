"""Telephone numbers as callers write them, and as they stand in INVITEs and CDRs.

Syntax only (CONTRACT §1): digits, 7–15, an optional ``+`` or ``00`` in front; ten digits get the account's country;
3–6 digits are extensions. Numbers come from strangers and end in a dial string, so nothing else passes.
"""

import re

_NUMBER = re.compile(r"(\+|00)?([1-9]\d{6,14}|\d{7,15})", re.ASCII)
_EXTENSION = re.compile(r"\d{3,6}", re.ASCII)
NATIONAL_DIGITS = 10

EMERGENCY = frozenset({"000", "111", "112", "113", "115", "117", "118", "119", "911", "988", "999"})
"""Short codes that reach emergency services somewhere (ITU-T E.161.1 recommends 112 and 911). The softphones' own
101–110 are not among them: 110 is an extension of every stack."""


class BadNumber(ValueError):
    """Says what is wrong with a number, without repeating it."""


def normalize(text: str, *, country: str) -> str:
    """Digits of a number or extension, without ``+``.

    >>> normalize("9979270001", country="91")
    '919979270001'
    """
    if not text:
        raise BadNumber("must not be empty")
    if _EXTENSION.fullmatch(text):
        return text
    match = _NUMBER.fullmatch(text)
    if not match:
        raise BadNumber("must be 7 to 15 digits, with an optional + or 00 in front, or an extension of 3 to 6")
    prefix, digits = match.groups()
    return country + digits if not prefix and len(digits) == NATIONAL_DIGITS else digits


def is_extension(digits: str) -> bool:
    return _EXTENSION.fullmatch(digits) is not None
