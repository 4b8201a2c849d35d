"""Formats dead letters for the terminal, and as lines of a file that can be corrected."""

import base64
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
from rich.table import Table
from rich.text import Text

from streamer.contracts.readings import CONTENT_TYPE, CONTENT_TYPES, Format
from streamer.errors import DataError
from streamer.printable import printable, utc_time
from streamer.storage.atomic_files import atomic_file
from streamer.tools.dead_letters import Headers, Letter, LetterId
from streamer.tools.letter_replay import Correction
from streamer.tools.letter_survey import MOST_KEYS, Survey

_SHOWN_BYTES = 2000


class _Line(msgspec.Struct):
    """A letter in a file; bytes that are not UTF-8 are in base64."""

    letter: str
    reason: str
    detail: str
    key: str | None
    value: str | None
    headers: list[tuple[str, str | None]]
    base64: bool = False
    """Whether key, value and headers are."""


def survey_table(found: Survey) -> Table:
    """Lay out the groups of a survey."""
    table = Table(title=f"{found.letters:,} dead letters")
    for name in ("reason", "letters", "put back", "keys", "first (UTC)", "last (UTC)", "such as"):
        table.add_column(
            name, justify="right" if name in {"letters", "put back", "keys"} else "left"
        )
    for group in found.groups():
        keys = f"{group.keys:,}{'+' if group.keys >= MOST_KEYS else ''}"
        counts = (f"{group.letters:,}", f"{group.put_back:,}", keys)
        table.add_row(
            Text(printable(group.reason)),
            *counts,
            utc_time(group.first_ms),
            utc_time(group.last_ms),
            Text(printable(group.example)),
        )
    return table


def letter_text(letter: Letter) -> str:
    """Return a letter as five lines of printable text, for any bytes."""
    headers = ", ".join(f"{name}={value!r}" for name, value in letter.headers)
    lines = (
        f"{letter.id}  {utc_time(letter.timestamp_ms)}  {letter.reason}: {letter.detail}",
        f"  from     {letter.topic} {letter.origin}",
        f"  key      {letter.key!r:.300}",
        f"  headers  {headers or '-'}",
        f"  value    {_readable(letter)}",
    )
    return "\n".join(map(printable, lines))


async def export_letters(path: Path, letters: AsyncIterator[Letter]) -> int:
    """Write letters to a file, one JSON object a line; return how many.

    Raises:
        DataError: the file cannot be written.
    """
    count = 0
    with atomic_file(path) as file:
        async for letter in letters:
            file.write(msgspec.json.encode(_line(letter)) + b"\n")
            count += 1
    return count


def import_corrections(path: Path) -> dict[LetterId, Correction]:
    """Read such a file back.

    Raises:
        DataError: a line is malformed; the message names the line.
    """
    corrections = {}
    for number, text in enumerate(path.read_bytes().splitlines(), start=1):
        try:
            line = msgspec.json.decode(text, type=_Line)
            decode = base64.b64decode if line.base64 else str.encode
            key, value = (None if part is None else decode(part) for part in (line.key, line.value))
            headers: Headers = [
                (name, None if part is None else decode(part)) for name, part in line.headers
            ]
            corrections[LetterId.parse(line.letter)] = Correction(key, value, headers)
        except (msgspec.DecodeError, ValueError) as error:
            raise DataError(
                f"{path}, line {number}: {error}; a line is what `streamer dlq show --output` wrote"
            ) from None
    return corrections


def _line(letter: Letter) -> _Line:
    parts = [letter.key, letter.value, *(value for _, value in letter.headers)]
    try:
        texts, is_base64 = [None if part is None else part.decode() for part in parts], False
    except UnicodeDecodeError:
        texts = [None if part is None else base64.b64encode(part).decode() for part in parts]
        is_base64 = True
    names = [name for name, _ in letter.headers]
    return _Line(
        str(letter.id),
        letter.reason,
        letter.detail,
        texts[0],
        texts[1],
        list(zip(names, texts[2:], strict=True)),
        is_base64,
    )


def _readable(letter: Letter) -> str:
    if letter.value is None:
        return "null"
    if dict(letter.headers).get(CONTENT_TYPE) == CONTENT_TYPES[Format.MSGPACK]:
        try:
            return f"{msgspec.msgpack.decode(letter.value)!r:.{_SHOWN_BYTES}}"
        except (msgspec.DecodeError, RecursionError, ValueError):
            pass
    try:
        text = letter.value[:_SHOWN_BYTES].decode()
    except UnicodeDecodeError:
        text = letter.value[: _SHOWN_BYTES // 2].hex(" ")
    rest = len(letter.value) - _SHOWN_BYTES
    return text + (f" ... {rest:,} bytes more" if rest > 0 else "")
