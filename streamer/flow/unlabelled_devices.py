"""Notices devices of which windows were skipped, and none was ever good for a label."""

from collections.abc import Callable, Iterable

from streamer.metrics import Metrics

MOST_DEVICES = 100_000
"""Labelled devices of a generation; two generations are remembered, the older one is forgotten.
So many devices without labels are remembered at most."""

RecordOutcomes = Callable[[Iterable[str], Iterable[tuple[str, str]]], None]
"""See `UnlabelledDevices.record`."""

LATE = "late"
"""The reason when samples were late and no window was skipped for another reason."""


class UnlabelledDevices:
    """Why devices have no labels, for all partitions of a worker.

    Args:
        metrics: shows how many there are.
        reasons: is filled with the reason of each device; the last one counts.
    """

    def __init__(self, metrics: Metrics, reasons: dict[str, str]) -> None:
        self._metrics = metrics
        self._reasons = reasons
        self._labelled: set[str] = set()
        self._before: set[str] = set()

    def record(self, labelled: Iterable[str], skipped: Iterable[tuple[str, str]]) -> None:
        """Note devices of a fetch with good windows, then those with skipped ones, and why.

        Called by the threads of all partitions.
        """
        for device_id in labelled:
            self._labelled.add(device_id)
            self._set(device_id, None)
        for device_id, reason in skipped:
            if device_id in self._labelled or device_id in self._before:
                continue
            if reason != LATE or device_id not in self._reasons:
                self._set(device_id, reason)
        if len(self._labelled) > MOST_DEVICES:
            self._labelled, self._before = set(), self._labelled

    def _set(self, device_id: str, reason: str | None) -> None:
        before = self._reasons.pop(device_id, None)
        if before is not None:
            self._metrics.unlabelled_devices.labels(before).dec()
        if reason is not None and len(self._reasons) < MOST_DEVICES:
            self._reasons[device_id] = reason
            self._metrics.unlabelled_devices.labels(reason).inc()
