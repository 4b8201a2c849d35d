"""Says on which records our own code has failed."""

from collections.abc import Iterator
from contextlib import contextmanager

from streamer.contracts.records import Records
from streamer.errors import StreamerError


class RecordsError(Exception):
    """Our own code has failed on records; the cause is the exception that it was raised from.

    Attributes:
        first: offset of the first record that may be at fault.
        last: offset of the last one.
    """

    def __init__(self, first: int, last: int) -> None:
        super().__init__(f"our own code has failed on the records {first} to {last}")
        self.first = first
        self.last = last


@contextmanager
def blaming(records: Records) -> Iterator[None]:
    """Raise a `RecordsError` for these records if something fails here.

    What the program itself raises on purpose stays as it is.
    """
    try:
        yield
    except StreamerError:
        raise
    except Exception as error:
        raise RecordsError(int(records.offset[0]), int(records.offset[-1])) from error
