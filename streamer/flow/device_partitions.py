"""Notices devices whose readings, or events, are in two partitions."""

from collections.abc import Callable
from typing import Final, NamedTuple

import structlog

from streamer.metrics import Metrics

log = structlog.get_logger(__name__)

MOST_DEVICES: Final = 100_000
"""Devices of a generation; two generations are remembered, the older one is forgotten."""

NAMED: Final = 10
"""How many of these devices the log names at a time."""


class SplitDevice(NamedTuple):
    """A device that was seen in two partitions."""

    device_id: str
    before: int
    now: int


class DevicePartitions:
    """The partition in which each device was seen last.

    A device in two partitions has two histories: both lack samples, and its events are wrong in
    both. Its publishers use different partitioners, or partitions were added to the topic.
    """

    def __init__(self) -> None:
        self._recent: dict[str, int] = {}
        self._older: dict[str, int] = {}
        self._split: set[str] = set()

    def add(self, partition: int, device_ids: list[str]) -> list[SplitDevice]:
        """Add devices of a partition; return those that were in another one before.

        A device is returned once, and no more than `MOST_DEVICES` are.
        """
        recent, older = self._recent, self._older
        found = []
        for device_id in device_ids:
            before = recent.get(device_id)
            if before is None:
                before = older.get(device_id, partition)
                recent[device_id] = partition
            is_split = before != partition and device_id not in self._split
            if is_split and len(self._split) < MOST_DEVICES:
                self._split.add(device_id)
                found.append(SplitDevice(device_id, before, partition))
        if len(recent) > MOST_DEVICES:
            self._recent, self._older = {}, recent
        return found


class SplitDeviceReport:
    """Counts and logs the devices that a worker sees in two partitions.

    Devices whose partitions belong to different workers are not noticed here. `streamer watch` and
    `streamer topics check` notice them by their events.

    Args:
        metrics: counts these devices.
        note: called with the number of devices that were found.
    """

    def __init__(self, metrics: Metrics, note: Callable[[int], None]) -> None:
        self._metrics = metrics
        self._note = note
        self._partitions = DevicePartitions()

    def record(self, partition: int, device_ids: list[str]) -> None:
        """Record the devices of a fetch. Called by the threads of all partitions."""
        found = self._partitions.add(partition, device_ids)
        if not found:
            return
        self._metrics.split_devices.inc(len(found))
        self._note(len(found))
        log.warning(
            "devices have readings in two partitions, and their events are wrong in both: "
            "their publishers use different partitioners, or partitions were added; "
            "docs/contracts.md says how to set the partitioner of each client",
            devices=[device.device_id for device in found[:NAMED]],
            partitions=sorted({partition, *(device.before for device in found)}),
            number=len(found),
        )
