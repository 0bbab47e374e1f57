"""The instant-call document's dialect."""
