"""Reports the failure of a command: one line or one JSON object, and never a traceback."""

import sys
import traceback

from streamer.errors import StreamerError
from streamer.printable import printable


def describe(error: BaseException) -> str | None:
    """Return what has failed; None for an error that is a bug of streamer."""
    if isinstance(error, BaseExceptionGroup):
        words = [describe(part) for part in error.exceptions]
        return None if None in words else "; ".join(dict.fromkeys(map(str, words)))
    if isinstance(error, StreamerError):
        return str(error)
    # A command that has not imported the client cannot have an error of the client.
    client = sys.modules.get("aiokafka.errors")
    if client is not None and isinstance(error, client.KafkaError):
        details = str(error).removeprefix(type(error).__name__).lstrip(": ")
        return (
            f"Kafka does not do what was asked: {type(error).__name__}"
            f"{f' ({details})' if details else ''}; check the brokers, the login and the rights "
            "of this user"
        )
    return None


def report_error(words: str) -> None:
    """Print the reason of a failure to standard error, as a log line where logs are JSON."""
    log = sys.modules.get("streamer.process.log")
    if log is not None and log.is_json():
        import structlog  # noqa: PLC0415 - `--help` needs no logging

        structlog.get_logger("streamer").error(words)
    else:
        print(f"Error: {printable(words, keep=chr(10))}", file=sys.stderr)


def report_traceback(error: BaseException) -> None:
    """Print the traceback of an error to standard error."""
    text = "".join(traceback.format_exception(error))
    print(printable(text, keep="\n"), file=sys.stderr, end="")


def report_bug(error: BaseException) -> None:
    """Print the traceback of a bug to standard error, as a log line where logs are JSON."""
    log = sys.modules.get("streamer.process.log")
    if log is not None and log.is_json():
        import structlog  # noqa: PLC0415 - `--help` needs no logging

        structlog.get_logger("streamer").error("this is a bug of streamer", exc_info=error)
    else:
        report_traceback(error)
