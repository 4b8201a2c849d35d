"""Makes text from outside safe to print: device ids, labels, error texts, names of files."""

from datetime import UTC, datetime


def printable(text: str, keep: str = "") -> str:
    r"""Escape every character that a terminal, a log or a reader could be deceived with.

    These are control characters, which move the cursor or give commands, line breaks, which forge
    lines, and invisible ones, which change the order of others. They become ``\\u001b`` and the
    like, as in JSON: a line of JSON means the same after it as before.

    Args:
        text: from a record, a file or a server.
        keep: characters to leave alone, such as the line breaks of our own message.

    Returns:
        The text; the same object where nothing is to be escaped.
    """
    if text.isprintable():
        return text
    return "".join(
        character if character.isprintable() or character in keep else _escape(character)
        for character in text
    )


def _escape(character: str) -> str:
    units = character.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[i : i + 2].hex()}" for i in range(0, len(units), 2))


def utc_time(time_ms: int) -> str:
    """Write a time since 1970 as date and time; as a number where no calendar has it."""
    try:
        return datetime.fromtimestamp(time_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")
    except (ValueError, OverflowError, OSError):
        return f"{time_ms} ms"


def utc_moment(time_ms: float) -> str:
    """Write a time since 1970 as date and time with milliseconds, in UTC."""
    whole_ms = round(time_ms)
    seconds = utc_time(whole_ms)
    return seconds if seconds.endswith("ms") else f"{seconds}.{whole_ms % 1000:03} UTC"
