"""Announcements with a code in them. Pure."""

from engine.media.tts.text import spell

VARIABLE = "{otp}"
"""What stands for the password in the text of a template."""


def announcement(text: str, otp: str) -> str:
    """What is spoken: the template with the password in it, spelled so that it can be written down."""
    return text.replace(VARIABLE, spell(otp))
