"""Options of publishing readings, for synthetic and for recorded devices."""

import math
import time
from dataclasses import dataclass

from streamer.contracts.readings import Format
from streamer.errors import DataError
from streamer.publishing.publisher import Timeline

_DAY_MS = 24 * 3600 * 1000


@dataclass(frozen=True, slots=True)
class Sending:
    """How readings are published.

    Attributes:
        speed: as a multiple of real time; infinite for as fast as possible.
        batch: samples in a record.
        format: of a record.
        start_ms: time of the first sample, since the epoch; None for a start that fits the speed.
    """

    speed: float = 1.0
    batch: int = 1
    format: Format = Format.JSON
    start_ms: float | None = None

    def timeline(self, length_ms: float) -> Timeline:
        """Return the timeline of readings of a length (infinite if they have no end).

        In real time the readings start now. Faster readings start in the past, so that they end
        now; those without an end start a day ago, and go on in real time once they reach the clock.

        Raises:
            DataError: the start is in the future.
        """
        now_ms = math.floor(time.time() * 1000)
        start_ms = self.start_ms
        if start_ms is None:
            start_ms = now_ms - (min(length_ms, _DAY_MS) if self.speed > 1 else 0)
        if start_ms > now_ms:
            raise DataError(
                f"the first reading cannot be {(start_ms - now_ms) / 1000:,.0f} s in the future: "
                "a reading is published after it is taken; choose an earlier --start"
            )
        return Timeline(start_ms, start_ms + length_ms, self.speed)
