"""MAC addresses, as people write them and as telephones tell them."""

import re

_TOLD = re.compile(r"(?<![0-9A-Za-z])[0-9A-Fa-f]{2}([:-]?)(?:[0-9A-Fa-f]{2}\1){4}[0-9A-Fa-f]{2}(?![0-9A-Za-z])")
_DIGITS = re.compile(r"[0-9A-F]{12}")
_GROUP = 1
"""Bit of the first octet that no device's own address has (IEEE 802, clause 8.2)."""


def mac_of(text: str) -> str | None:
    """``79-5C-7D-28-1B-B3`` out of however an address is written; None when it is none.

    >>> mac_of("795c.7d28.1bb3")
    '79-5C-7D-28-1B-B3'
    """
    digits = re.sub(r"[-:. ]", "", text.upper())
    return "-".join(re.findall("..", digits)) if _DIGITS.fullmatch(digits) else None


def told_in(text: str) -> str | None:
    """The address that a telephone tells within a longer text, such as its User-Agent.

    >>> told_in("Yealink SIP-T46S 66.85.0.5 805ec0aabbcc")
    '80-5E-C0-AA-BB-CC'
    """
    for match in _TOLD.finditer(text):
        if not int(match.group()[:2], 16) & _GROUP:
            return mac_of(match.group())
    return None
