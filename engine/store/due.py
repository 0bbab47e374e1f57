"""Due calls."""
