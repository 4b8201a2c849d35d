"""Sets up logging to standard error: as text for people, or as one JSON object in each line."""

import logging
import math
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
"""Time within which lines that repeat are dropped."""

MOST_LINES: Final = 20
"""Lines of ours with the same text and partition that are logged within this time."""

MOST_TEXTS: Final = 1000
"""Texts that are remembered: those of libraries may hold anything."""

FIRST_LINES: Final = 20
LAST_LINES: Final = 40
"""Lines of a traceback that are logged: an error with many causes or parts has thousands."""

LONGEST_LINE: Final = 500
"""Characters of a line of a traceback; the message of an exception may quote a record."""

LEVELS = logging.getLevelNamesMapping()


_ORDINARY: Final = "because it is rebalancing"
"""Part of a warning of aiokafka in every rebalance; we log what a worker is assigned then."""


def _is_noteworthy(record: logging.LogRecord) -> bool:
    """Return whether a line is about more than the usual work of a library."""
    return record.name.startswith("streamer") or _ORDINARY not in record.getMessage()


class _LimitRepeats(logging.Filter):
    """Drops lines that repeat within `REPEAT_S`; the next one after it says how many were dropped.

    Lines of ours repeat if text and partition are the same, and `MOST_LINES` of them are logged:
    they may be about different devices. A line of a library is logged once, as when aiokafka
    says again and again that no broker answers.
    """

    def __init__(self) -> None:
        super().__init__()
        self._seen: dict[tuple[object, ...], tuple[float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        is_ours, line = record.name.startswith("streamer"), record.msg
        fields = line if isinstance(line, dict) else {"event": str(line)}
        key = record.name, record.levelno, fields.get("event"), fields.get("partition")
        most = MOST_LINES if is_ours else 1
        now_s = time.monotonic()
        began_s, number = self._seen.get(key, (-math.inf, 0))
        if now_s - began_s < REPEAT_S:
            self._seen[key] = began_s, number + 1
            return number < most
        if len(self._seen) >= MOST_TEXTS:
            self._seen.clear()
        self._seen[key] = now_s, 1
        if dropped := max(0, number - most):
            if isinstance(line, dict):
                record.msg = {**line, "dropped_before": dropped}
            else:
                record.msg = f"{line} ({dropped} lines like this were dropped before)"
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
    handler.addFilter(_is_noteworthy)
    handler.addFilter(_LimitRepeats())
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
