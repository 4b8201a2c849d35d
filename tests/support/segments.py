"""Segments as a reader of the events would make them, slowly, and what must come out of a log."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction

from streamer.contracts.events import ActivityEvent
from streamer.contracts.segments import HOP_MS, ActivitySegment, CurrentActivity
from streamer.testing import Published


@dataclass
class Outcome:
    """What the two topics hold of one device."""

    closed: list[ActivitySegment] = field(default_factory=list)
    current: list[CurrentActivity | None] = field(default_factory=list)


def by_device(published: Published) -> dict[str, Outcome]:
    """What was published of each device, in its order."""
    found: dict[str, Outcome] = {}
    for segment in published.segments:
        found.setdefault(segment.device_id, Outcome()).closed.append(segment)
    for device_id, current in published.current:
        found.setdefault(device_id, Outcome()).current.append(current)
    return found


def expected(events: Iterable[ActivityEvent]) -> dict[str, Outcome]:
    """The segments of events up to the end of their log.

    Events of a device that are one hop apart are taken for windows of one life.
    """
    devices: dict[str, list[ActivityEvent]] = {}
    for event in events:
        devices.setdefault(event.device_id, []).append(event)
    return {device_id: _outcome(theirs) for device_id, theirs in devices.items()}


def _outcome(events: Sequence[ActivityEvent]) -> Outcome:
    outcome = Outcome()
    begin = 0
    for end in range(1, len(events) + 1):
        last = events[end - 1]
        following = events[end] if end < len(events) else None
        adjoins = following is not None and following.window_start == last.window_start + HOP_MS
        if adjoins and following is not None and _label(following) == _label(last):
            continue
        stretch = events[begin:end]
        outcome.closed.append(_segment(stretch))
        outcome.current.append(_current(stretch[0]))
        if not adjoins:
            outcome.current.append(None)
        begin = end
    return outcome


def _label(event: ActivityEvent) -> tuple[str, str | None]:
    return event.activity, event.reason


def _segment(events: Sequence[ActivityEvent]) -> ActivitySegment:
    first, last = events[0], events[-1]
    said = [each.confidence for each in events if each.confidence is not None]
    mean = sum((Fraction(str(each)) for each in said), Fraction()) / len(said) if said else None
    return ActivitySegment(
        segment_id=first.window_id,
        device_id=first.device_id,
        segment_start=first.window_start,
        segment_end=last.window_start + HOP_MS,
        activity=first.activity,
        reason=first.reason,
        confidence=None if mean is None else float(round(mean, 6)),
        windows=len(events),
    )


def _current(event: ActivityEvent) -> CurrentActivity:
    return CurrentActivity(
        device_id=event.device_id,
        activity=event.activity,
        reason=event.reason,
        since=event.window_start,
        confidence=event.confidence,
    )
