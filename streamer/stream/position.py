"""How far a partition is done, and how much of it must be read again to go on.

The log itself is the state: what is known about devices at record ``next`` can be built again from
the records since ``low``, given the partition clock there::

    offset   ... low ........................ next ...
                 |<- read again, no output ->|<- go on
"""

from collections import deque
from dataclasses import dataclass
from typing import Final, Self

from streamer.stream.clock import START, PartitionClock

_VERSION: Final = "v4"
_STORED: Final = "v3"
"""Version without the stored position. It is written if no window waits to be stored."""
_UNNAMED: Final = "v2"
"""Version without the models, too. It is still written for a partition whose models have never
changed: workers of an earlier release read it."""
_OLDEST: Final = "v1"
"""Version without the topic id and the skipped records, too. It is still read."""


@dataclass(frozen=True, slots=True)
class Position:
    """Where a partition can be taken up again.

    Attributes:
        low: first record on which output not yet published may depend.
        next: first record that is not yet reflected in the output.
        clock: the partition clock before record ``low``.
        flushed: records from ``low`` on before which no sample waited for its watermark any more.
        topic_id: identity of the topic whose offsets these are; empty when it is not known. A topic
            that is deleted and made again has another one.
        skipped: records from ``low`` on that the operator has told us not to process.
        models: name of the models that decide the windows closed by record ``models_since`` or a
            later one; empty as long as the models of the partition have never changed. It contains
            no semicolon.
        models_since: the first record for which they decide.
        stored: the windows that were closed before this record are stored (`store_features`), those
            that were closed since then wait for it. None if none waits.
    """

    low: int
    next: int
    clock: PartitionClock = START
    flushed: tuple[int, ...] = ()
    topic_id: str = ""
    skipped: tuple[int, ...] = ()
    models: str = ""
    models_since: int = 0
    stored: int | None = None

    def metadata(self) -> str:
        """All but ``low``, for the metadata of the offset committed at ``low``."""
        flushed, skipped = (",".join(map(str, each)) for each in (self.flushed, self.skipped))
        fields = f"{self.next};{self.clock.as_text()};{flushed};{self.topic_id};{skipped}"
        models = f"{self.models};{self.models_since}"
        if self.stored is not None:
            return f"{_VERSION};{fields};{models};{self.stored}"
        return f"{_STORED};{fields};{models}" if self.models else f"{_UNNAMED};{fields}"

    @classmethod
    def parse(cls, offset: int, metadata: str) -> Self:
        """Read back what a commit at ``offset`` said.

        Raises:
            ValueError: the metadata are not of this program, not of its version, or not of this
                offset.
        """
        version, *fields = metadata.split(";")
        if version == _OLDEST:
            fields += ["", "", "", "0", ""]
        elif version == _UNNAMED:
            fields += ["", "0", ""]
        elif version == _STORED:
            fields += [""]
        elif version != _VERSION:
            raise ValueError(f"metadata version {version!r}, expected {_VERSION!r}")
        following, clock, flushed, topic_id, skipped, models, since, stored = fields
        if int(following) < offset:
            raise ValueError(f"the next record is {following}, before the offset {offset}")
        return cls(
            offset,
            int(following),
            PartitionClock.parse(clock),
            _offsets(flushed),
            topic_id,
            _offsets(skipped),
            models,
            int(since),
            int(stored) if stored else None,
        )


def _offsets(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(",") if part)


class ReplayStart:
    """Remembers at which records reading could start again, and the partition clock there."""

    def __init__(self, position: Position) -> None:
        self._starts = deque([(position.low, position.clock)])
        self._flushed = list(position.flushed)
        self._skipped = position.skipped
        self._topic_id = position.topic_id
        self._models, self._models_since = position.models, position.models_since

    def processed(self, following: int, clock: PartitionClock) -> None:
        """All records before ``following`` are taken in; the partition clock is there now."""
        self._starts.append((following, clock))

    def flushed(self, following: int) -> None:
        """Waiting samples were released before this record."""
        if following not in self._flushed:
            self._flushed.append(following)

    def decided_by(self, models: str, since: int) -> None:
        """Models with this name decide from this record on."""
        if models != self._models:
            self._models, self._models_since = models, since

    def position(self, low: int | None, following: int) -> Position:
        """The position after all records before ``following``.

        Args:
            low: smallest offset that still matters; None when none does.
            following: the next record.
        """
        low = following if low is None else low
        while len(self._starts) > 1 and self._starts[1][0] <= low:
            self._starts.popleft()
        start, clock = self._starts[0]
        self._flushed = [offset for offset in self._flushed if offset > start]
        self._skipped = tuple(offset for offset in self._skipped if offset >= start)
        return Position(
            start,
            following,
            clock,
            tuple(self._flushed),
            self._topic_id,
            self._skipped,
            self._models,
            self._models_since,
        )
