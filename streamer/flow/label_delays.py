"""Measures where the time between a sample and its label goes: a few array operations a fetch."""

import math
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

from streamer.arrays import Floats
from streamer.contracts.readings import Decoded
from streamer.contracts.records import HEADERS, HEADERS_END, Records, read_headers
from streamer.features.window_shape import WINDOW
from streamer.metrics import Metrics
from streamer.stream.windows import ClosedWindows

if TYPE_CHECKING:
    from streamer.fetch_traces import FetchTrace

AHEAD_S: Final = 1.0
"""A sample that Kafka has this much before its own time has a clock that is ahead."""

BEHIND_S: Final = 60.0
"""A sample that Kafka has this much later has a clock that is behind, or was sent late."""


class Clock(StrEnum):
    """What Kafka's timestamps say about the clock of a device."""

    RIGHT = "right"
    AHEAD = "ahead"
    BEHIND = "behind"


@dataclass(slots=True)
class LabelDelays:
    """How far the windows of a fetch are on their way; NaN where it is not known.

    Attributes:
        sensor_s: mean time from the newest sample of a record to its Kafka timestamp, of the
            devices whose clock is right.
        stamped_s: mean Kafka timestamp of the records, seconds since 1970 like the times below.
        window_s: mean time from the end of a window to the newest sample of its device, by the
            clock of the device.
        ends_s: ends of the windows by the clock of their device.
        received_s: when the worker had the records.
        computed_s: when their features were computed.
        answered_s: when their predictions were there.
        trace: the records of the fetch; None if nobody records traces.
    """

    sensor_s: float = math.nan
    stamped_s: float = math.nan
    window_s: float = math.nan
    ends_s: dict[Clock, Floats] = field(default_factory=dict)
    received_s: float = math.nan
    computed_s: float = math.nan
    answered_s: float = math.nan
    trace: "FetchTrace | None" = None

    def observe(self, metrics: Metrics, committed_s: float, labels: int) -> None:
        """Show the delays of labels that are committed now."""
        stages = {
            "sensor_to_broker": self.sensor_s,
            "broker_to_worker": self.received_s - self.stamped_s,
            "window": self.window_s,
            "features": self.computed_s - self.received_s,
            "predict": self.answered_s - self.computed_s,
            "commit": committed_s - self.answered_s,
        }
        for stage, delay_s in stages.items():
            if not math.isnan(delay_s):
                each = np.full(labels, max(0.0, delay_s))
                metrics.label_delay.labels(stage).observe_all(each)
        for clock, ends_s in self.ends_s.items():
            metrics.label_age.labels(clock).observe_all(np.maximum(committed_s - ends_s, 0.0))


class ArrivalMeter:
    """Compares the samples of one partition with Kafka's timestamps of their records."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._skewed: dict[Clock, set[str]] = {Clock.AHEAD: set(), Clock.BEHIND: set()}

    def measure(
        self, records: Records, decoded: Decoded, windows: list[ClosedWindows]
    ) -> LabelDelays:
        """Count the delays of a fetch's records; return those of the windows that it closes."""
        if not len(decoded.record):
            return LabelDelays()
        last = np.flatnonzero(np.diff(decoded.record, append=-1))
        device, time_us = decoded.device[last], decoded.time_us[last]
        stamped_ms = records.timestamp[decoded.record[last]]
        delay_s = stamped_ms / 1e3 - time_us / 1e6
        ahead, behind = delay_s < -AHEAD_S, delay_s > BEHIND_S
        right_s = np.maximum(delay_s[~(ahead | behind)], 0.0)
        show = self._metrics.sensor_delay.labels
        show(Clock.RIGHT).observe_all(right_s)
        show(Clock.AHEAD).observe_all(-delay_s[ahead])
        show(Clock.BEHIND).observe_all(delay_s[behind])
        self._note(Clock.AHEAD, decoded, device[ahead])
        self._note(Clock.BEHIND, decoded, device[behind])
        if not any(map(len, windows)):
            return LabelDelays()
        newest_us = np.zeros(len(decoded.device_ids), np.int64)
        newest_us[device] = time_us
        newest = dict(zip(decoded.device_ids, newest_us.tolist(), strict=True))
        ends, waits_s = self._look_at(windows, newest)
        return LabelDelays(
            sensor_s=float(right_s.mean()) if len(right_s) else math.nan,
            stamped_s=float(stamped_ms.mean()) / 1e3,
            window_s=sum(waits_s) / len(waits_s) if waits_s else math.nan,
            ends_s=ends,
        )

    def forget(self, device_ids: list[str]) -> None:
        """Forget devices that are gone."""
        for clock, devices in self._skewed.items():
            self._set(clock, devices.difference(device_ids))

    def hand_over(self) -> None:
        """Forget all devices: they are another worker's now."""
        for clock in self._skewed:
            self._set(clock, set())

    def _note(self, clock: Clock, decoded: Decoded, skewed: npt.NDArray[np.intp]) -> None:
        """Remember which devices have such a clock, and which of them have it no more."""
        devices = self._skewed[clock]
        if devices or len(skewed):
            found = {decoded.device_ids[i] for i in np.unique(skewed).tolist()}
            self._set(clock, devices.difference(decoded.device_ids) | found)

    def _set(self, clock: Clock, devices: set[str]) -> None:
        if change := len(devices) - len(self._skewed[clock]):
            self._metrics.skewed_devices.labels(clock).inc(change)
        self._skewed[clock] = devices

    def _look_at(
        self, windows: list[ClosedWindows], newest: dict[str, int]
    ) -> tuple[dict[Clock, Floats], list[float]]:
        """Return the ends of windows by clock, and how long the last one of a device waited."""
        device_ids = [device_id for part in windows for device_id in part.device_ids]
        ends_us = np.concatenate([part.start_us for part in windows]) + WINDOW.length_us
        ahead, behind = (
            np.fromiter(map(self._skewed[clock].__contains__, device_ids), np.bool_)
            for clock in (Clock.AHEAD, Clock.BEHIND)
        )
        ends = {
            Clock.RIGHT: ends_us[~(ahead | behind)] / 1e6,
            Clock.BEHIND: ends_us[behind & ~ahead] / 1e6,
        }
        waits_s = [
            max(0, newest[device_id] - end_us) / 1e6
            for device_id, end_us in dict(zip(device_ids, ends_us.tolist(), strict=True)).items()
            if device_id in newest
        ]
        return {clock: each for clock, each in ends.items() if len(each)}, waits_s


def read_trace(records: Records) -> "FetchTrace":
    """Return what a trace says of a fetch of at least one record."""
    from streamer.fetch_traces import (  # noqa: PLC0415 - only where traces are recorded
        MOST_LINKS,
        TRACE_HEADER,
        FetchTrace,
    )

    parents: dict[bytes, None] = {}
    spans = records.table[:, [HEADERS, HEADERS_END]]
    for begin, end in spans[spans[:, 1] - spans[:, 0] > 1].tolist():
        if parent := dict(read_headers(records.buffer[begin:end])[0]).get(TRACE_HEADER):
            parents[parent] = None
        if len(parents) == MOST_LINKS:
            break
    first, last = int(records.offset[0]), int(records.offset[-1])
    return FetchTrace(first, last, len(records), tuple(parents))
