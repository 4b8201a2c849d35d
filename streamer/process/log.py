"""Sets up logging to standard error: as text for people, or as one JSON object in each line."""

import logging
import sys
import textwrap
import time
import traceback
from collections.abc import MutableMapping
from typing import Any, Final, TextIO

import stamina
import structlog
from structlog.typing import ExcInfo, Processor, WrappedLogger

from streamer.printable import printable
from streamer.settings import Settings

REPEAT_S = 10.0
"""Time within which a line of a library is logged once."""

FIRST_LINES: Final = 20
LAST_LINES: Final = 40
"""Lines of a traceback that are logged: an error with many causes or parts has thousands."""

LONGEST_LINE: Final = 500
"""Characters of a line of a traceback; the message of an exception may quote a record."""

LEVELS = logging.getLevelNamesMapping()


class _OncePerInterval(logging.Filter):
    """Drops lines that a library repeats, as aiokafka does while no broker answers."""

    def __init__(self) -> None:
        super().__init__()
        self._logged_s: dict[tuple[str, int, str], float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        if record.name.startswith("streamer"):
            return True
        key = record.name, record.levelno, str(record.msg)
        now_s = time.monotonic()
        if now_s - self._logged_s.get(key, -REPEAT_S) < REPEAT_S:
            return False
        self._logged_s[key] = now_s
        return True


def configure(settings: Settings) -> None:
    """Set up logging as the settings say. Of libraries only warnings and errors are logged."""
    configure_format(settings.log_format, settings.log_level)


def configure_format(log_format: str, log_level: str = "info") -> None:
    """Set up logging with a format and a level, also when the settings could not be loaded."""
    # We log each retry and its reason; stamina's own line would be a second one.
    stamina.instrumentation.set_on_retry_hooks(())
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    renderers: list[Processor] = (
        [
            structlog.processors.ExceptionRenderer(format_traceback),
            structlog.processors.JSONRenderer(),
        ]
        if log_format == "json"
        else [
            structlog.dev.ConsoleRenderer(
                colors=sys.stderr.isatty(), exception_formatter=_print_traceback
            )
        ]
    )
    level = LEVELS[log_level.upper()]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.make_filtering_bound_logger(level),
    )
    handler = logging.StreamHandler()
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.add_logger_name, *shared],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                _make_printable,
                *renderers,
            ],
        )
    )
    handler.addFilter(_OncePerInterval())
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(max(level, logging.WARNING))
    logging.getLogger("streamer").setLevel(logging.DEBUG)
    global _is_json  # noqa: PLW0603 - logging is configured once for the process
    _is_json = log_format == "json"


_is_json = False


def is_json() -> bool:
    """Whether logging is set up, and its lines are JSON objects."""
    return _is_json


def _make_printable(
    _logger: WrappedLogger, _method: str, line: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """Escape the message and the values of a log line, which may contain text of records."""
    for name, value in line.items():
        if isinstance(value, str):
            line[name] = printable(value)
    return line


def format_traceback(exc_info: ExcInfo) -> str:
    """Return a traceback without values of local variables, which may hold a password.

    Only the beginning and the end of a long traceback are returned, and only the beginning of a
    long line.
    """
    lines = "".join(traceback.format_exception(*exc_info)).splitlines()
    left_out = len(lines) - FIRST_LINES - LAST_LINES
    if left_out > 0:
        lines[FIRST_LINES:-LAST_LINES] = [f"... {left_out} lines are left out ..."]
    return "\n".join(line[:LONGEST_LINE] for line in lines)


def _print_traceback(output: TextIO, error: ExcInfo) -> None:
    """Write a traceback, indented: the message of an exception may quote a record, line by line."""
    output.write(textwrap.indent(printable(format_traceback(error), keep="\n"), "  "))
