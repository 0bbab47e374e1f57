"""The composition root: the only package that names adapters."""

from engine.app.engine import run

__all__ = ["run"]
