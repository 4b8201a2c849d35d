"""The interface of a predictor that takes windows in batches and answers minutes later."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from streamer.arrays import Floats
from streamer.predict.answers import Answers

BATCH_WINDOWS: Final = 20_000
"""Windows after which a batch ends before its time: 200 MB of text on the disk of the worker."""


@dataclass(frozen=True, slots=True)
class BatchAnswers:
    """The results of a batch.

    Attributes:
        answers: one for each window, in the order in which windows were added.
        refused: features (features,) of each window that was refused, by position.
    """

    answers: Answers
    refused: dict[int, Floats] = field(default_factory=dict)

    def slice(self, start: int, stop: int) -> "BatchAnswers":
        """Return the results of the windows from ``start`` to ``stop``."""
        refused = {row - start: own for row, own in self.refused.items() if start <= row < stop}
        return BatchAnswers(self.answers.slice(start, stop), refused)


class Batch(Protocol):
    """Consecutive windows of a partition, which become one job."""

    @property
    def planned_end(self) -> int | None:
        """Return the record before which the batch must end, because one was stored so before.

        None if the end is free.
        """

    def add(self, window_ids: Sequence[str], features: Floats) -> None:
        """Add windows with their features (n, features). Call it in a thread: it writes a file."""

    async def store(self, end: int) -> None:
        """Store the windows of the records before ``end``. Nothing is added afterwards."""

    async def predict(self, list_windows: Callable[[], Sequence[str]]) -> BatchAnswers:
        """Wait for the results.

        Args:
            list_windows: returns the ids of the windows that were added, in their order. It is
                called when the results are there: the ids need memory.

        Raises:
            EndpointError: an operator must act first.
        """

    async def clean_up(self) -> None:
        """Remove what was stored, because its results are committed. Never fails."""

    def discard(self) -> None:
        """Drop what this process has of the batch."""


class PartitionBatches(Protocol):
    """The batches of one partition."""

    async def find(self, next_offset: int) -> None:
        """Find the batches that were stored before, and remove those that are done.

        Args:
            next_offset: the committed position.
        """

    def begin(self, first: int) -> Batch:
        """Begin a batch with the windows that the records from ``first`` on close."""


class BatchPredictor(Protocol):
    """A predictor that takes windows in batches."""

    @property
    def interval_s(self) -> float:
        """Return how long a batch collects windows."""

    def open_partition(self, topic: str, topic_id: str, partition: int) -> PartitionBatches:
        """Return the batches of a partition.

        Args:
            topic: of the readings.
            topic_id: identity of the topic; empty if it is not known.
            partition: its number.
        """
