"""A worker stops rather than dead-letter everything."""

from collections import deque
from collections.abc import Callable

from streamer.errors import RejectsError

LEAST_RECORDS = 1000
"""Records in the window before their share of rejects means anything."""


class RejectLimit:
    """Watches which share of the latest records is refused.

    Devices that send nonsense are few; when most records are refused, something is wrong with all
    of them: a new format, a wrong topic, a bad deploy. They stay where they are, in the topic.
    """

    def __init__(self, share: float, window_s: float, clock: Callable[[], float]) -> None:
        self._share = share
        self._window_s = window_s
        self._clock = clock
        self._counts: deque[tuple[float, int, int]] = deque()
        self._records = 0
        self._rejects = 0

    def count(self, records: int, rejects: int) -> None:
        """Count the records of a fetch, and how many of them are rejects.

        Raises:
            RejectsError: too many of the records of the window are.
        """
        now_s = self._clock()
        self._counts.append((now_s, records, rejects))
        self._records += records
        self._rejects += rejects
        while self._counts[0][0] < now_s - self._window_s:
            _, old_records, old_rejects = self._counts.popleft()
            self._records -= old_records
            self._rejects -= old_rejects
        if self._records >= LEAST_RECORDS and self._rejects > self._share * self._records:
            raise RejectsError(
                f"{self._rejects} of the last {self._records} records are refused, more than "
                f"max_reject_share = {self._share:g} allows. Stopped before the latest of them are "
                "dead-lettered: look at `streamer dlq list`, put right what publishes them, or "
                "start with --max-reject-share 1 to refuse them all"
            )
