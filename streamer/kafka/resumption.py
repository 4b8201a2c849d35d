"""Where a partition is taken up, when the group's position and the log may disagree.

::

    log            begin ............................ end
    position            low ....... next                    they agree
               low . next                                   retention has overtaken the group
               low .......... next                          so has it, but nothing is unread
                                       low ....... next     the log is not the one that was read
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from enum import StrEnum

from streamer.stream.clock import START
from streamer.stream.position import Position


class Reset(StrEnum):
    """Why a partition is not taken up where the group has left it."""

    RETENTION = "retention"
    """Records that were not read are gone."""
    CONTEXT = "context"
    """Records are gone that were read, and that open windows depend on."""
    TOPIC_RECREATED = "topic_recreated"
    """The topic was deleted and made again."""
    BEYOND_END = "beyond_end"
    """The log ends before the position: it was truncated, or it is another log."""
    OFFSETS_MISSING = "offsets_missing"
    """The group has no position, although events were published from this partition."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a partition's log holds: records from `begin` on, none from `end` on."""

    begin: int
    end: int
    topic_id: str


@dataclass(frozen=True, slots=True)
class Resumption:
    """Where to take a partition up.

    Attributes:
        position: of the first record to process.
        reset: why it is not the committed position; None if it is.
        lost: records that were never read and are gone; 0 if that is not known.
        problem: what has happened and what happens now, for people; empty without a reset.
    """

    position: Position
    reset: Reset | None = None
    lost: int = 0
    problem: str = ""


async def resume(
    committed: Position | None,
    bounds: Bounds,
    *,
    recreated: bool,
    has_events: Callable[[], Awaitable[bool]],
    first_since: Callable[[int], Awaitable[int]],
) -> Resumption:
    """Decide where to take a partition up.

    Args:
        committed: the position of the group; None without one.
        bounds: of the log, as Kafka says now.
        recreated: whether the topic was made again while this worker was running.
        has_events: says whether events were published from this partition; asked without position.
        first_since: returns the first record whose Kafka timestamp is not before a time in
            microseconds, or the end; asked when the log ends before the position.
    """
    begin, end = bounds.begin, bounds.end
    oldest = Position(begin, begin, topic_id=bounds.topic_id)
    if committed is None and not recreated:
        if not await has_events():
            return Resumption(oldest)
        return Resumption(
            oldest,
            Reset.OFFSETS_MISSING,
            problem="the group has no committed offset here, but there are events: its offsets "
            "have expired (offsets.retention.minutes of the brokers), the topic was made again, or "
            "another group writes to the same topic of events. Every reading that is still there "
            f"is processed, from offset {begin} on: windows are published again",
        )
    if committed is None or (
        committed.topic_id and bounds.topic_id and committed.topic_id != bounds.topic_id
    ):
        return Resumption(
            oldest,
            Reset.TOPIC_RECREATED,
            problem="the topic was deleted and made again. What was not read of the old topic is "
            f"lost. The new topic is processed from its beginning, offset {begin}",
        )
    position = replace(committed, topic_id=bounds.topic_id)
    nothing_read = replace(position, flushed=(), skipped=(), stored=None)
    if committed.next > end:
        known = committed.clock.now_us >= 0
        start = max(begin, await first_since(committed.clock.now_us)) if known else begin
        return Resumption(
            replace(nothing_read, low=start, next=start, clock=START),
            Reset.BEYOND_END,
            problem=f"the group is at offset {committed.next}, but the log ends at {end}: it was "
            "truncated (an unclean leader election, a restored disk), or the offset is one of "
            f"another log (a mirrored group). Processing continues at offset {start}, "
            + (
                "the first record that is newer than what the group has read"
                if known
                else "the oldest record"
            ),
        )
    if committed.next < begin:
        return Resumption(
            replace(nothing_read, low=begin, next=begin),
            Reset.RETENTION,
            begin - committed.next,
            f"{begin - committed.next} records were deleted before they were read: the group is at "
            f"offset {committed.next}, and the oldest record is {begin}. Give the topic a longer "
            "retention, or the group more workers. Processing continues at the oldest record",
        )
    if committed.low < begin:
        return Resumption(
            replace(position, low=begin, flushed=(), stored=None),
            Reset.CONTEXT,
            problem="records that open windows depend on were deleted: they begin at offset "
            f"{committed.low}, and the oldest record is {begin}. Nothing unread is lost, but "
            "windows of the next minutes lack what came before them. Give the topic a longer "
            "retention",
        )
    return Resumption(position)
