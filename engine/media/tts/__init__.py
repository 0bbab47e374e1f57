"""Text to speech: one port, three engines behind it, and a cache before them."""
