"""Resampling once more: each grid point from the whole list of a sensor's samples."""

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

DENSE_US = 15_000
REACH_US = 40_000
NEAR_US = 100_000


def keys(distance: float) -> float:
    """The weight of a sample so many steps away."""
    if distance < 1:
        return (1.5 * distance - 2.5) * distance * distance + 1
    if distance < 2:
        return ((-0.5 * distance + 2.5) * distance - 4) * distance + 2
    return 0.0


@dataclass
class Track:
    """One sensor's samples since resampling began, and the first point that it has not got yet."""

    next_us: int
    times: list[int] = field(default_factory=list)
    values: list[Floats] = field(default_factory=list)
    points: list[tuple[Floats, bool]] = field(default_factory=list)
    """Values, and whether samples are near enough; from the first one that is not in a slot."""

    def take(self, time_us: int, values: Floats, step_us: int) -> None:
        """The next sample: it may finish points."""
        self.times.append(time_us)
        self.values.append(values)
        while (point := self.point(self.next_us, step_us)) is not None:
            self.points.append(point)
            self.next_us += step_us
        # What no point depends on any more would only take time.
        while len(self.times) > 2 and self.times[1] <= self.next_us - REACH_US:
            del self.times[0], self.values[0]

    def point(self, at_us: int, step_us: int) -> tuple[Floats, bool] | None:
        """The value at a time; None if samples are missing to tell."""
        after = next((i for i, time_us in enumerate(self.times) if time_us >= at_us), None)
        if after is None:
            return None
        if after == 0:
            return self.values[0], self.times[0] == at_us
        begin, end = self.times[after - 1], self.times[after]
        first, last = self.values[after - 1], self.values[after]
        line = first + (last - first) * ((at_us - begin) / (end - begin))
        if end - begin >= DENSE_US:
            return line, end - begin <= NEAR_US
        if self.times[-1] < at_us + REACH_US:
            return None
        weight, total = 0.0, np.zeros(3)
        for time_us, values in zip(self.times, self.values, strict=True):
            share = keys(abs(time_us - at_us) / step_us)
            if abs(time_us - at_us) < REACH_US:
                weight += share
                total = total + share * values
        return (line if weight < 0.5 else total / weight), True
