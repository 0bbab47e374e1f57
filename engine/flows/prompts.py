"""Recorded prompts of Asterisk's core sounds, by purpose: what is said when no text is spoken. Media URIs, in turn."""

from collections.abc import Mapping

PROMPTS: Mapping[str, tuple[str, ...]] = {
    "connecting": ("sound:calling",),
    "busy": ("sound:telephone-number", "sound:is-in-use"),
    "no_answer": ("sound:number-not-answering",),
    "rejected": ("sound:vm-nobodyavail",),
    "congestion": ("sound:all-circuits-busy-now",),
    "failed": ("sound:cannot-complete-as-dialed",),
    "cancelled": ("sound:cannot-complete-as-dialed",),
    "not_allowed": ("sound:cannot-complete-as-dialed",),
    "unknown_number": ("sound:ss-noservice",),
    "error": ("sound:please-try-call-later",),
}
