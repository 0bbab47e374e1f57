"""The engine measured against a bare ARI client, in one run, on one Asterisk: ``python -m tests.bench``."""
