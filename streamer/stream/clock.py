"""The partition clock: the time by the Kafka timestamps of a partition's records. Compiled.

It decides when a silent device is forgotten. A timestamp that the broker has set (`LogAppendTime`)
is the time. A timestamp that a producer has set (`CreateTime`) may be wrong, and one wrong clock
must not make the partition forget its devices. So a producer moves the clock forward by at most a
quarter of the idle timeout. A record further ahead begins a *doubt*, in which the clock stands
still. The doubt lasts as long as every record is that far ahead::

    idle timeout 60 s, one device an hour ahead

    timestamp   9:00:00   10:00:00   9:00:01           the next record is near the clock: a denial
    clock       9:00:00    9:00:00   9:00:01

    all devices were silent for an hour

    timestamp   9:00:00   10:00:00  10:00:01 ... 10:01:01       nobody has denied it for 60 s
    clock       9:00:00    9:00:00   9:00:00 ... 10:01:01

A device that has sent a record in a doubt counts as seen when the doubt ends. So a doubt, whether
confirmed or denied, never makes a device silent that is there.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from streamer.arrays import Bools, Ints
from streamer.compiled import compiled_together
from streamer.stream.samples import NEVER

IN_DOUBT: Final = -NEVER
"""When a device is seen last that has sent a record in a doubt that has not ended: after all."""

STEPS: Final = 4
"""Steps of a producer's timestamps in which the idle timeout passes, at least."""


@dataclass(frozen=True, slots=True)
class Followed:
    """The partition clock at some records.

    Attributes:
        clock_us: (r,) the clock after each record.
        seen_us: (r,) when a device that sends this record counts as seen; `IN_DOUBT` in a doubt
            that has not ended.
        ahead: (r,) records of a doubt that has been denied: their timestamps are wrong.
        resolved_us: the clock at the end of the doubt in which the records begin; `NEVER` if it has
            not ended, or there was none.
        after: the clock after all of them.
    """

    clock_us: Ints
    seen_us: Ints
    ahead: Bools
    resolved_us: int
    after: "PartitionClock"


@dataclass(frozen=True, slots=True)
class PartitionClock:
    """The partition clock before a record. It depends on the records before, on nothing else.

    Attributes:
        us: the largest time that is certain; `NEVER` before the first.
        doubt_us: the smallest timestamp in the doubt; `NEVER` without one.
        reached_us: how far the records of the doubt have come from there.
    """

    us: int = NEVER
    doubt_us: int = NEVER
    reached_us: int = NEVER

    @property
    def now_us(self) -> int:
        """The best time there is: before anything is certain, that of the doubt."""
        return self.reached_us if self.us == NEVER else self.us

    def follow(self, stamp_us: Ints, appended: Bools, idle_us: int) -> Followed:
        """Return the clock at the next records.

        Args:
            stamp_us: (r,) Kafka timestamps.
            appended: (r,) whether the broker has set the timestamp.
            idle_us: the idle timeout.
        """
        clock_us, seen_us = np.empty_like(stamp_us), np.empty_like(stamp_us)
        *after, resolved_us = _follow(
            stamp_us,
            appended,
            (self.us, self.doubt_us, self.reached_us),
            idle_us,
            clock_us,
            seen_us,
        )
        ahead = stamp_us > seen_us + idle_us // STEPS
        return Followed(clock_us, seen_us, ahead, resolved_us, PartitionClock(*after))

    def as_text(self) -> str:
        """Return it for the metadata of a position."""
        if self.reached_us == NEVER:
            return str(self.us)
        return f"{self.us},{self.doubt_us},{self.reached_us}"

    @classmethod
    def parse(cls, text: str) -> "PartitionClock":
        """Read back what `as_text` has returned.

        Raises:
            ValueError: the text is something else.
        """
        numbers = [int(number) for number in text.split(",")]
        if len(numbers) not in {1, 3}:
            raise ValueError(f"{text!r} is no partition clock")
        return cls(*numbers)


START: Final = PartitionClock()
"""The clock before the first record."""


@compiled_together
def _follow(
    stamp_us: Ints,
    appended: Bools,
    before: tuple[int, int, int],
    idle_us: int,
    clock_us: Ints,
    seen_us: Ints,
) -> tuple[int, int, int, int]:
    """Fill in the last two; return the numbers of the clock after, and `Followed.resolved_us`."""
    now, doubt, reached = before
    resolved: int = NEVER
    step_us = idle_us // STEPS
    was_in_doubt = in_doubt = reached != NEVER
    begin = 0
    for i in range(len(stamp_us)):
        stamp = stamp_us[i]
        ends = False
        if appended[i] or stamp <= now + step_us:
            now, ends = max(now, stamp), in_doubt
        elif not in_doubt:
            in_doubt, begin, doubt, reached = True, i, stamp, stamp
        elif stamp < doubt:
            doubt, reached = stamp, stamp
        elif stamp > reached:
            reached = min(stamp, reached + step_us)
            if reached - doubt > idle_us:
                now, ends = reached, True
        if ends:
            seen_us[begin:i] = now
            if was_in_doubt:
                resolved, was_in_doubt = now, False
            in_doubt, doubt, reached = False, NEVER, NEVER
        clock_us[i] = reached if now == NEVER else now
        seen_us[i] = IN_DOUBT if in_doubt else now
    return now, doubt, reached, resolved
