"""Logging: lines for people, or JSON, on standard error."""

import logging
import sys
import time

import stamina
import structlog

from streamer.settings import Settings

REPEAT_S = 10.0
"""How often a library may say the same thing."""


class _Seldom(logging.Filter):
    """Lets a library say the same only so often: without a broker aiokafka says it all the time."""

    def __init__(self) -> None:
        super().__init__()
        self._said_s: dict[tuple[str, int, str], float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        if record.name.startswith("streamer"):
            return True
        key = record.name, record.levelno, str(record.msg)
        now_s = time.monotonic()
        if now_s - self._said_s.get(key, -REPEAT_S) < REPEAT_S:
            return False
        self._said_s[key] = now_s
        return True


def configure(settings: Settings) -> None:
    """Set up structlog, and send what libraries log the same way, from warnings on."""
    # We say ourselves that we try again and why; stamina's own line would be a second one.
    stamina.instrumentation.set_on_retry_hooks(())
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    # Tracebacks without local variables: those may hold a password.
    renderers: list[structlog.typing.Processor] = (
        [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
        if settings.log_format == "json"
        else [
            structlog.dev.ConsoleRenderer(
                colors=sys.stderr.isatty(),
                exception_formatter=structlog.dev.plain_traceback,
            )
        ]
    )
    level = logging.getLevelNamesMapping()[settings.log_level.upper()]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.make_filtering_bound_logger(level),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler()
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.add_logger_name, *shared],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *renderers],
        )
    )
    handler.addFilter(_Seldom())
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(max(level, logging.WARNING))
    logging.getLogger("streamer").setLevel(logging.DEBUG)
