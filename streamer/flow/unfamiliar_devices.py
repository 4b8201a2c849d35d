"""Names the devices of a partition that move in a way that the model has not learned."""

from collections.abc import Iterable, Sequence
from typing import Final

import structlog

from streamer.contracts.events import ActivityEvent
from streamer.labels.familiarity import is_unfamiliar
from streamer.metrics import Metrics

log = structlog.get_logger(__name__)

MOST_NAMED: Final = 10
"""Devices that one line of the log names."""


class UnfamiliarDevices:
    """Logs and counts each device once when it becomes unfamiliar, until it is forgotten."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._named: set[str] = set()

    def name_new(self, events: Sequence[ActivityEvent], forgotten: Iterable[str]) -> None:
        """Name the devices of these events that are unfamiliar, and forget others afterwards."""
        found = (event.device_id for event in events if is_unfamiliar(event.familiarity))
        new = [device_id for device_id in dict.fromkeys(found) if device_id not in self._named]
        self._named.update(new)
        self._named.difference_update(forgotten)
        if new:
            self._metrics.found_unfamiliar.inc(len(new))
            log.warning(
                "devices move in a way that the model has not learned: they are worn at another "
                "place or with other axes, or the model is for other people; see docs/models.md",
                devices=new[:MOST_NAMED],
                number=len(new),
            )
