"""Holds a partition instead of writing most of its records to the dead-letter topic."""

from collections import Counter, deque
from collections.abc import Callable, Sequence
from typing import Final

from streamer.errors import RejectsError

LEAST_RECORDS: Final = 1000
"""Records in the window before the share of rejects means anything."""

_NAMED: Final = 5
"""Keys that the error names."""

_COUNTED: Final = 100
"""Keys of a fetch that are counted."""


class RejectLimit:
    """Watches which share of the latest records of a partition is rejected.

    Single devices that send malformed readings are a small share. When most records are rejected,
    they have a common cause: a new format, a wrong topic, a faulty release. These records then stay
    in the topic, and the partition is held.
    """

    def __init__(self, share: float, window_s: float, clock: Callable[[], float]) -> None:
        self._share = share
        self._window_s = window_s
        self._clock = clock
        self._counts: deque[tuple[float, int, int, Counter[bytes | None]]] = deque()
        self._records = 0
        self._rejects = 0

    def count(self, records: int, rejected: Sequence[bytes | None]) -> None:
        """Count the records of a fetch, and the keys of those that are refused.

        Raises:
            RejectsError: too many of the records in the window are refused.
        """
        now_s = self._clock()
        keys = Counter(dict(Counter(rejected).most_common(_COUNTED)))
        self._counts.append((now_s, records, len(rejected), keys))
        self._records += records
        self._rejects += len(rejected)
        while self._counts[0][0] < now_s - self._window_s:
            _, old_records, old_rejects, _ = self._counts.popleft()
            self._records -= old_records
            self._rejects -= old_rejects
        if self._records >= LEAST_RECORDS and self._rejects > self._share * self._records:
            raise RejectsError(
                f"{self._rejects} of the last {self._records} records are refused, more than "
                f"max_reject_share = {self._share:g} allows; most of them have the keys "
                f"{self._worst()}. The partition is held, and the latest of them are not in the "
                "dead-letter topic yet. Correct what publishes them; then start with "
                "--max-reject-share 1, which writes them all to the dead-letter topic"
            )

    def _worst(self) -> str:
        """Name the keys with the most rejects."""
        keys: Counter[bytes | None] = sum((each for *_, each in self._counts), Counter())
        named = [f"{_shown(key)} ({count})" for key, count in keys.most_common(_NAMED)]
        return ", ".join(named) + (", ..." if len(keys) > _NAMED else "")


def _shown(key: bytes | None) -> str:
    """Return a key in printable ASCII."""
    return "none" if key is None else ascii(key[:60].decode(errors="backslashreplace"))
