"""The partition clock: the time by the Kafka timestamps of a partition's records. Compiled.

It decides when a silent device is forgotten. A timestamp that the broker has set (`LogAppendTime`)
is the time. A timestamp that a producer has set (`CreateTime`) may be wrong, and one wrong clock
must not make the partition forget its devices, at once or little by little. So it is the time that
two devices have reached. The device that is ahead of the clock *leads*; a record of another one
moves the clock to where both have come, by at most half the idle timeout::

    idle timeout 60 s; devices a, b, and w, an hour ahead

    timestamp   a 9:00:00   w 10:00:00   b 9:00:01   w 10:00:02   a 9:00:02
    clock             -           -       9:00:01      9:00:01      9:00:02
    leads                         w                    w

If the lead is larger than that, the partition is in *doubt*: the clock stands still. The doubt ends
when the clock moves, as above, or when nobody has moved it while the lead grew by the idle timeout.
Each record counts there for at most a sixtieth of it, so that a few wrong records are not enough::

    all devices were silent for an hour

    timestamp   9:00:00   10:00:00  10:00:01 ... 10:01:01       nobody has denied it for 60 s
    clock       9:00:00    9:00:00   9:00:00 ... 10:01:01

The same holds for a device that is alone. A record behind the clock says nothing: a clock that
stands still, or is late, must not hold the others.

A device that has sent a record in a doubt counts as seen when the doubt ends. So a doubt, however
it ends, never makes a device silent that is there.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from streamer.arrays import Bools, Ints
from streamer.compiled import compiled_together
from streamer.stream.samples import NEVER

IN_DOUBT: Final = -NEVER
"""When a device is seen last that has sent a record in a doubt that has not ended: after all."""

NOBODY: Final = -1
"""Sender of a record without samples."""

STEPS: Final = 2
"""Steps that two devices agree on in which the idle timeout passes, at least."""

RECORDS: Final = 60
"""Records in a doubt with which the idle timeout passes, at least."""


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
        lead_us: the smallest timestamp of the lead; `NEVER` without one.
        reached_us: how far the lead has come from there.
        leader: the sender that leads.
    """

    us: int = NEVER
    lead_us: int = NEVER
    reached_us: int = NEVER
    leader: int = NOBODY

    @property
    def now_us(self) -> int:
        """The best time there is: before anything is certain, that of the lead."""
        return self.reached_us if self.us == NEVER else self.us

    def follow(self, stamp_us: Ints, sender: Ints, appended: Bools, idle_us: int) -> Followed:
        """Return the clock at the next records.

        Args:
            stamp_us: (r,) Kafka timestamps.
            sender: (r,) number of the device, the same in every worker; `NOBODY` if none is known.
                It does not matter where the broker has set the timestamp.
            appended: (r,) whether the broker has set the timestamp.
            idle_us: the idle timeout.
        """
        clock_us, seen_us = np.empty_like(stamp_us), np.empty_like(stamp_us)
        *after, resolved_us = _follow(
            stamp_us,
            sender,
            appended,
            (self.us, self.lead_us, self.reached_us, self.leader),
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
        return f"{self.us},{self.lead_us},{self.reached_us},{self.leader}"

    @classmethod
    def parse(cls, text: str) -> "PartitionClock":
        """Read back what `as_text` has returned; earlier versions did not write the leader.

        Raises:
            ValueError: the text is something else.
        """
        numbers = [int(number) for number in text.split(",")]
        if len(numbers) not in {1, 3, 4}:
            raise ValueError(f"{text!r} is no partition clock")
        return cls(*numbers)


START: Final = PartitionClock()
"""The clock before the first record."""


@compiled_together
def _follow(
    stamp_us: Ints,
    sender: Ints,
    appended: Bools,
    before: tuple[int, int, int, int],
    idle_us: int,
    clock_us: Ints,
    seen_us: Ints,
) -> tuple[int, int, int, int, int]:
    """Fill in the last two; return the numbers of the clock after, and `Followed.resolved_us`."""
    now, lead, reached, leader = before
    resolved: int = NEVER
    in_doubt = was_in_doubt = reached > now + idle_us // STEPS
    begin = 0
    for i in range(len(stamp_us)):
        if appended[i]:
            now = max(now, stamp_us[i])
            if reached != NEVER:
                lead, reached, leader = NEVER, NEVER, NOBODY
        elif stamp_us[i] > now:
            now, lead, reached, leader = _move(
                stamp_us[i], sender[i], now, lead, reached, leader, idle_us
            )
        if in_doubt != (reached != NEVER and reached > now + idle_us // STEPS):
            in_doubt = not in_doubt
            if in_doubt:
                begin = i
            else:
                seen_us[begin:i] = now
                if was_in_doubt:
                    resolved, was_in_doubt = now, False
        clock_us[i] = reached if now == NEVER else now
        seen_us[i] = IN_DOUBT if in_doubt else now
    return now, lead, reached, leader, resolved


@compiled_together
def _move(
    stamp: int, sender: int, now: int, lead: int, reached: int, leader: int, idle_us: int
) -> tuple[int, int, int, int]:
    """Return the numbers of the clock after a producer's timestamp that is after the clock."""
    near = now + idle_us // STEPS
    if reached == NEVER:
        return now, stamp, stamp, sender
    if sender != leader and min(stamp, reached) <= near:
        if stamp > reached:
            return reached, stamp, stamp, sender
        if stamp == reached or reached > near:
            return stamp, NEVER, NEVER, NOBODY
        return stamp, reached, reached, leader
    if stamp < lead:
        return now, stamp, stamp, sender
    if stamp > reached:
        reached = min(stamp, max(near, reached + idle_us // RECORDS))
        if reached - max(lead, near) > idle_us:
            return reached, NEVER, NEVER, NOBODY
    return now, lead, reached, leader
