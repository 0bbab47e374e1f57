"""Recorded prompts of Asterisk's core sounds, by purpose: what is said when no text is spoken."""

from collections.abc import Mapping

PROMPTS: Mapping[str, str] = {
    "connecting": "sound:one-moment-please",
    "busy": "sound:tt-allbusy",
    "no_answer": "sound:number-not-answering",
    "rejected": "sound:vm-nobodyavail",
    "failed": "sound:cannot-complete-as-dialed",
    "cancelled": "sound:cannot-complete-as-dialed",
    "not_allowed": "sound:cannot-complete-as-dialed",
    "unknown_number": "sound:ss-noservice",
    "error": "sound:please-try-call-later",
}
