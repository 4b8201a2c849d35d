"""Gives committed events to everybody who follows them, and keeps the latest for who comes back.

Memory has bounds: a fixed number of events is kept, and a subscriber that does not take its events
is cut off. All subscribers share the bytes of an event.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Final, NamedTuple

KEPT_EVENTS: Final = 50_000
"""Events that are kept for subscribers that come back; all partitions together."""

WAITING_EVENTS: Final = 1_000
"""Events that may wait for one subscriber. With one more it is cut off."""

GATEWAY_ENDS: Final = "the gateway ends: connect again"
"""What those are told who follow something when the gateway ends."""


class LiveEvent(NamedTuple):
    """A committed activity event, and its place in the topic."""

    partition: int
    offset: int
    device_id: str
    value: bytes
    """The event as JSON, on one line."""


Positions = Mapping[int, int]
"""For each partition the offset of the event that comes next."""


class Subscription:
    """The events of one subscriber that it has not taken yet."""

    def __init__(self, waiting: Sequence[LiveEvent], missed: Sequence[int]) -> None:
        self._waiting = deque(waiting)
        self._replayed = len(waiting)
        self._news = asyncio.Event()
        if waiting:
            self._news.set()
        self.missed = missed
        """The partitions of which events were missed, because they are not kept any more."""
        self.end: str | None = None
        """Why there are no more events, for the subscriber; None while there are."""

    def offer(self, event: LiveEvent) -> None:
        """Add an event; cut the subscriber off if it has no room."""
        if self.end is not None:
            return
        self._waiting.append(event)
        self._news.set()
        if len(self._waiting) > WAITING_EVENTS + self._replayed:
            self.close(f"more than {WAITING_EVENTS} events waited: read faster, or follow fewer")

    def close(self, why: str) -> None:
        """Drop what waits, and give the subscriber no more events."""
        self.end = why
        self._waiting.clear()
        self._news.set()

    async def take(self, most: int, patience_s: float) -> list[LiveEvent]:
        """Return the next events.

        Args:
            most: number of events to return at most.
            patience_s: how long to wait for the first one.

        Returns:
            The events; none if there was none in that time, or if there are no more.
        """
        try:
            async with asyncio.timeout(patience_s):
                await self._news.wait()
        except TimeoutError:
            return []
        taken = [self._waiting.popleft() for _ in range(min(most, len(self._waiting)))]
        self._replayed = max(0, self._replayed - len(taken))
        if not self._waiting and self.end is None:
            self._news.clear()
        return taken

    @property
    def has_all(self) -> bool:
        """Whether the subscriber has taken every event up to the positions of the hub."""
        return not self._waiting and self.end is None


class EventHub:
    """The subscribers, the events that are kept, and the position in each partition."""

    def __init__(self) -> None:
        self._of_device: dict[str, list[Subscription]] = {}
        self._of_many: dict[Subscription, Callable[[str], bool]] = {}
        self._kept: dict[int, deque[LiveEvent]] = {}
        self._kept_from: dict[int, int] = {}
        self._next: dict[int, int] = {}
        self.is_current = asyncio.Event()
        """Set once the events are read that were there at the start."""

    @property
    def positions(self) -> Positions:
        """The event that comes next in each partition."""
        return self._next

    def start_at(self, positions: Positions) -> None:
        """Begin to read the partitions at these positions; nothing before them is known."""
        self._kept_from = dict(positions)
        self._next = dict(positions)
        share = max(1, KEPT_EVENTS // max(1, len(positions)))
        self._kept = {partition: deque(maxlen=share) for partition in positions}

    def add_partitions(self, positions: Positions) -> None:
        """Begin to read further partitions at these positions."""
        self._kept_from |= positions
        self._next |= positions
        share = max(1, KEPT_EVENTS // len(self._next))
        for partition in self._next:
            before = self._kept.get(partition, ())
            kept = self._kept[partition] = deque(before, maxlen=share)
            if len(kept) < len(before):
                self._kept_from[partition] = kept[0].offset

    def publish(self, event: LiveEvent) -> None:
        """Give an event to the subscribers and keep it."""
        kept = self._kept[event.partition]
        if len(kept) == kept.maxlen:
            self._kept_from[event.partition] = kept[0].offset + 1
        kept.append(event)
        self._next[event.partition] = event.offset + 1
        for subscription in self._of_device.get(event.device_id, ()):
            subscription.offer(event)
        for subscription, wants in self._of_many.items():
            if wants(event.device_id):
                subscription.offer(event)

    def close(self) -> None:
        """End all subscriptions, because the gateway ends."""
        ours = (each for subscriptions in self._of_device.values() for each in subscriptions)
        for subscription in (*ours, *self._of_many):
            subscription.close(GATEWAY_ENDS)

    def move_to(self, partition: int, following: int) -> None:
        """Note that there are no more events before this offset."""
        self._next[partition] = max(self._next[partition], following)

    @contextmanager
    def subscribe(
        self, of: str | Callable[[str], bool], since: Positions | None = None
    ) -> Iterator[Subscription]:
        """Subscribe while the context is open.

        Args:
            of: the device whose events are wanted, or a function that returns whether the events of
                a device are wanted.
            since: where the subscriber has stopped before; without it, it gets only new events.
                A partition that is not in it has been added since then.
                Events that are not kept any more are missed, and `missed` says so.
        """
        since = since or {}
        wants = of.__eq__ if isinstance(of, str) else of
        waiting = [
            event
            for partition, kept in self._kept.items()
            if since and since.get(partition, 0) < self._next[partition]
            for event in kept
            if event.offset >= since.get(partition, 0) and wants(event.device_id)
        ]
        missed = [
            partition
            for partition, following in since.items()
            if following < self._kept_from.get(partition, following)
        ]
        subscription = Subscription(waiting, missed)
        if isinstance(of, str):
            others = self._of_device.setdefault(of, [])
            others.append(subscription)
        else:
            self._of_many[subscription] = of
        try:
            yield subscription
        finally:
            if isinstance(of, str):
                others.remove(subscription)
                if not others:
                    del self._of_device[of]
            else:
                del self._of_many[subscription]


def write_positions(positions: Positions) -> str:
    """Return positions as text, such as `0:17,1:4`: the id of an event."""
    pairs = sorted(positions.items())
    return ",".join(f"{partition}:{following}" for partition, following in pairs)


def read_positions(text: str) -> dict[int, int]:
    """Return the positions in a text.

    Raises:
        ValueError: the text is not one that `write_positions` returns.
    """
    pairs = (pair.split(":") for pair in text.split(",") if pair)
    return {int(partition): int(following) for partition, following in pairs}
