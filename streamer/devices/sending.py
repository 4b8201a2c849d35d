"""How readings are published, whoever they are of."""

import math
import time
from dataclasses import dataclass

from streamer.contracts.readings import Format
from streamer.devices.publisher import Timeline
from streamer.errors import DataError

_DAY_MS = 24 * 3600 * 1000


@dataclass(frozen=True, slots=True)
class Sending:
    """How readings are published.

    Attributes:
        speed: times that of the clock, infinite for as fast as possible.
        batch: samples in a record.
        format: of a record.
        start_ms: time of the first sample, since the epoch; None to choose what fits the speed.
    """

    speed: float = 1.0
    batch: int = 1
    format: Format = Format.JSON
    start_ms: float | None = None

    def timeline(self, length_ms: float) -> Timeline:
        """Lay out readings over so long (infinite when they never end).

        In real time they start now. Faster, they start as long ago as they take, and without an
        end a day ago: once they have caught up with the clock they go on in real time.

        Raises:
            DataError: they are to start in the future.
        """
        now_ms = math.floor(time.time() * 1000)
        start_ms = self.start_ms
        if start_ms is None:
            start_ms = now_ms - (min(length_ms, _DAY_MS) if self.speed > 1 else 0)
        if start_ms > now_ms:
            raise DataError(
                f"the first reading cannot be {(start_ms - now_ms) / 1000:,.0f} s in the future: "
                "none is published before it is taken; choose an earlier --start"
            )
        return Timeline(start_ms, start_ms + length_ms, self.speed)
