"""Notices devices whose readings are in two partitions."""

from collections.abc import Callable

import structlog

from streamer.metrics import Metrics

log = structlog.get_logger(__name__)

MOST_DEVICES = 100_000
"""Devices of a generation; two generations are remembered, the older one is forgotten."""

NAMED = 10
"""How many of these devices the log names at a time."""


class DevicePartitions:
    """The partition in which each device was seen last, for all partitions of a worker.

    A device in two partitions has two histories: both lack samples, and its events are wrong in
    both. Its publishers use different partitioners, or partitions were added to the topic. Devices
    whose partitions belong to different workers are not noticed.

    Args:
        metrics: counts these devices.
        note: called with the number of devices that were found.
    """

    def __init__(self, metrics: Metrics, note: Callable[[int], None]) -> None:
        self._metrics = metrics
        self._note = note
        self._recent: dict[str, int] = {}
        self._older: dict[str, int] = {}
        self._split: set[str] = set()

    def see(self, partition: int, device_ids: list[str]) -> None:
        """Note the devices of a fetch; called by the threads of all partitions."""
        recent, older = self._recent, self._older
        found = []
        for device_id in device_ids:
            before = recent.get(device_id)
            if before is None:
                before = older.get(device_id, partition)
                recent[device_id] = partition
            if before != partition and device_id not in self._split:
                found.append((device_id, before))
        if len(recent) > MOST_DEVICES:
            self._recent, self._older = {}, recent
        if found and len(self._split) < MOST_DEVICES:
            self._split.update(device_id for device_id, _ in found)
            self._metrics.split_devices.inc(len(found))
            self._note(len(found))
            log.warning(
                "devices have readings in two partitions, and their events are wrong in both: "
                "their publishers use different partitioners, or partitions were added; "
                "docs/contracts.md says how to set the partitioner of each client",
                devices=[device_id for device_id, _ in found[:NAMED]],
                partitions=sorted({partition, *(before for _, before in found)}),
                number=len(found),
            )
