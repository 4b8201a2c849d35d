"""Compares the events of two topics, window by window: equal, different or missing.

Both topics are read a partition at a time. Of each event a hash and the activity are kept, so that
memory grows with the windows of one partition.
"""

import hashlib
import math
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import NamedTuple

from streamer.contracts.events import ActivityEvent
from streamer.datasets.progress import ReportProgress, ignore_progress
from streamer.errors import DataError
from streamer.kafka.event_formats import make_event_decoder
from streamer.kafka.reader import PATIENCE_S, open_reader, read_to_end
from streamer.kafka.topics import admin_client, partition_counts
from streamer.settings import Settings


class _Seen(NamedTuple):
    """What is kept of an event."""

    activity: str
    digest: bytes


@dataclass(slots=True)
class EventComparison:
    """How two topics of events agree.

    Attributes:
        equal: windows whose events have the same bytes.
        same_activity: windows with the same activity in events that differ otherwise, for example
            in their scores.
        changed: windows with another activity, by both activities.
        missing: windows that only the first topic has, by device.
        added: windows that only the second topic has, by device.
        different: windows with another activity, by device.
        unreadable: records that are no events.
    """

    equal: int = 0
    same_activity: int = 0
    changed: Counter[tuple[str, str]] = field(default_factory=Counter)
    missing: Counter[str] = field(default_factory=Counter)
    added: Counter[str] = field(default_factory=Counter)
    different: Counter[str] = field(default_factory=Counter)
    unreadable: int = 0

    @property
    def is_equal(self) -> bool:
        """Whether both topics have the same windows, with the same bytes."""
        others = (self.changed, self.missing, self.added)
        return not (self.same_activity or self.unreadable or any(others))

    def add(self, window_id: str, first: _Seen | None, second: _Seen | None) -> None:
        """Count a window that one of the topics has, or both."""
        device_id = window_id.rpartition("/")[0]
        if first is None or second is None:
            (self.added if first is None else self.missing)[device_id] += 1
        elif first.digest == second.digest:
            self.equal += 1
        elif first.activity == second.activity:
            self.same_activity += 1
        else:
            self.changed[first.activity, second.activity] += 1
            self.different[device_id] += 1


async def compare_events(
    settings: Settings,
    other_topic: str,
    from_ms: float | None = None,
    to_ms: float | None = None,
    report: ReportProgress = ignore_progress,
) -> EventComparison:
    """Compare the topic of events with another one.

    Args:
        settings: name the brokers and the first topic.
        other_topic: the second topic.
        from_ms: nominal start of the first window that counts; None for the oldest one.
        to_ms: nominal start after the last window that counts; None for the newest one.
        report: is told how many partitions are compared.

    Raises:
        TopicError: one of the topics does not exist.
        KafkaError: no broker answers.
    """
    names = (settings.events_topic, other_topic)
    async with admin_client(settings, PATIENCE_S) as admin:
        counts = await partition_counts(admin)
    begin_ms = -math.inf if from_ms is None else from_ms
    end_ms = math.inf if to_ms is None else to_ms
    found = EventComparison()
    partitions = max(counts.get(name, 1) for name in names)
    for partition in range(partitions):
        both: list[dict[str, _Seen]] = []
        for name in names:
            windows: dict[str, _Seen] = {}
            if partition < counts.get(name, 1):
                async for event, digest in _read(settings, name, partition, found):
                    if begin_ms <= event.window_start < end_ms:
                        windows[event.window_id] = _Seen(event.activity, digest)
            both.append(windows)
        first, second = both
        for window_id in first.keys() | second.keys():
            found.add(window_id, first.get(window_id), second.get(window_id))
        report("comparing partitions", partition + 1, partitions)
    return found


async def _read(
    settings: Settings, topic: str, partition: int, found: EventComparison
) -> AsyncIterator[tuple[ActivityEvent, bytes]]:
    decode = make_event_decoder(settings)
    async with open_reader(settings, topic, "earliest", PATIENCE_S, partition) as consumer:
        async for record in read_to_end(consumer):
            value = record.value or b""
            try:
                event = decode(value)
            except DataError:
                found.unreadable += 1
                continue
            yield event, hashlib.blake2b(value, digest_size=8).digest()
