"""Logging: one line an event, text for people or JSON for machines, on standard error."""

import logging
import sys

import structlog


def configure(*, form: str, level: str) -> None:
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    renderer: structlog.typing.Processor = (
        structlog.processors.JSONRenderer()
        if form == "json"
        else structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty(),
            # The pretty one prints local variables, and in them one-time passwords and numbers.
            exception_formatter=structlog.dev.plain_traceback,
        )
    )
    errors = structlog.processors.format_exc_info if form == "json" else structlog.processors.StackInfoRenderer()
    structlog.configure(
        processors=[*shared, errors, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, level.upper())),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=True,
    )
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s %(message)s")
