"""Counts the attempts at records that cannot be processed, and says what an operator can do."""

import math
from typing import Final

from streamer.flow.record_failure import RecordsError
from streamer.kafka.record_batches import DamagedBatchError

ATTEMPTS: Final = 3
"""How often records are tried before their partition is held."""


class Attempts:
    """The attempts at the same records, one after the other.

    Attributes:
        count: how many have failed.
    """

    def __init__(self) -> None:
        self.count = 0
        self._failed: RecordsError | None = None

    def fail(self, failed: RecordsError | None, following: int) -> None:
        """Count a failed attempt.

        Args:
            failed: the records; None if they are not known.
            following: the record that comes next in the partition.
        """
        again = self._failed is not None and (
            failed is None or self._failed.first <= failed.first <= self._failed.last
        )
        self.count = self.count + 1 if again else 1
        self._failed = failed or RecordsError(following, following)

    def next_size(self, failed: RecordsError) -> int:
        """Return how many of the records the next attempt may process at a time."""
        return math.isqrt(failed.last - failed.first + 1) if self.count < 2 else 1

    @property
    def are_over(self) -> bool:
        """Whether there will be no further attempt."""
        return self.count >= ATTEMPTS


def describe_failure(name: str, failed: RecordsError | None, cause: BaseException) -> str:
    """Say on which records of a partition our own code has failed, and how."""
    where = "the records from the committed position on"
    if failed is not None:
        where = f"the records {failed.first} to {failed.last}"
        if failed.first == failed.last:
            where = f"the record {failed.first}"
    return f"our own code fails on {name}, {where}: {cause!r}"


def advise_on_failure(partition: int, failed: RecordsError | None) -> str:
    """Say what an operator can do when our own code fails on records."""
    advice = f"Tried {ATTEMPTS} times; nothing was skipped. Install a version that can read it"
    if failed is not None:
        advice += f", or have the record skipped: streamer skip {partition} {failed.first}"
    return advice


def advise_on_damage(partition: int, damage: DamagedBatchError) -> str:
    """Say what an operator can do about a damaged batch."""
    return (
        f"Fetched {ATTEMPTS} times; nothing was skipped. Restore the log, from a replica for "
        "example, or have these records skipped, which loses them: streamer skip "
        f"{partition} {damage.last}"
    )
