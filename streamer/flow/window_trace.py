"""Follows one window of a device through the flow of its partition, without publishing anything.

The trace runs the code of a worker (`PartitionState`) over records of the log, from some place
before the window on. It remembers what the worker only passes on: samples, signals, features, the
record that closed the window, and why windows of the device were skipped.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import numpy as np

from streamer.arrays import Floats, Ints
from streamer.contracts.readings import Decoded
from streamer.contracts.records import Records
from streamer.features import FeatureSet, compute_features
from streamer.features.compute import blank_rotation
from streamer.features.window_shape import WINDOW
from streamer.flow.partition_state import PartitionState
from streamer.flow.rejects import RejectLimit
from streamer.flow.stage_results import Computed
from streamer.flow.unlabelled_devices import LATE
from streamer.metrics import Metrics
from streamer.profiles.choose_decoder import make_decoder
from streamer.settings import Settings
from streamer.stream.position import Position
from streamer.stream.windows import Window

CONTEXT_US: Final = 2 * WINDOW.epoch_hops * WINDOW.hop_us + 5 * WINDOW.hop_us
"""Samples that are older than this before a window do not change it: two epochs of the filters, and
the five hops that sampling looks back."""


@dataclass(frozen=True, slots=True)
class TracedRecord:
    """A record with samples of the device in the time of the window.

    Attributes:
        offset: place in the partition.
        stamped_ms: Kafka timestamp.
        first_us, last_us: times of its first and last sample.
        samples: their number.
        late: whether some of them came behind the watermark.
    """

    offset: int
    stamped_ms: int
    first_us: int
    last_us: int
    samples: int
    late: bool


@dataclass(frozen=True, slots=True, eq=False)
class TracedWindow:
    """The window as the flow has computed it.

    Attributes:
        window: what labels depend on besides the features.
        signals: (9, 129) body acceleration, gravity, rotation; the rotation is 0 without gyroscope.
        features: (features,) NaN where the device has no such sensor.
        closed_by: offset of the record that closed the window.
        closed_ms: Kafka timestamp of this record.
    """

    window: Window
    signals: Floats
    features: Floats
    closed_by: int
    closed_ms: int


@dataclass(slots=True)
class DeviceRange:
    """Which samples of the device the trace has seen.

    Attributes:
        first_us, newest_us: smallest and largest sample time; None without samples.
        before_us: the newest sample before the window; None if there was none.
        after_us: the first sample after the window's nominal end; None if there was none.
    """

    first_us: int | None = None
    newest_us: int | None = None
    before_us: int | None = None
    after_us: int | None = None

    def add(self, times_us: Ints, start_us: int, end_us: int) -> None:
        """Add the times (n,) of samples, at least one."""
        first, last = int(times_us.min()), int(times_us.max())
        self.first_us = first if self.first_us is None else min(first, self.first_us)
        self.newest_us = last if self.newest_us is None else max(last, self.newest_us)
        before, after = times_us[times_us < start_us], times_us[times_us >= end_us]
        if len(before):
            newest = int(before.max())
            self.before_us = newest if self.before_us is None else max(newest, self.before_us)
        if len(after):
            first = int(after.min())
            self.after_us = first if self.after_us is None else min(first, self.after_us)


class WindowTrace:
    """What is known of a window after some records of its partition.

    Attributes:
        settings: those of the workers.
        device_id: whose window it is.
        start_ms: its nominal start.
        start_offset: the first record that is given to the trace.
        found: the window; None as long as it has not closed.
        records: those with samples in the time of the window, in the order of the log.
        times_us: (n,) times of these samples.
        values: (n, 6) acceleration in g and rotation in rad/s of these samples.
        skipped: sample times (µs) and reasons when windows of the device were skipped.
        range: the samples of the device that were seen.
        rejected: reasons for which records with the key of the device were rejected.
    """

    def __init__(
        self,
        settings: Settings,
        feature_set: FeatureSet,
        device_id: str,
        start_ms: int,
        start_offset: int = 0,
    ) -> None:
        """Begin a trace.

        Args:
            settings: those of the workers.
            feature_set: the features that their predictor takes.
            device_id: whose window it is.
            start_ms: its nominal start.
            start_offset: the first record that will be given to the trace.
        """
        self.settings = settings
        self.device_id = device_id
        self.start_ms = start_ms
        self.start_offset = start_offset
        self.found: TracedWindow | None = None
        self.records: list[TracedRecord] = []
        self.times_us: Ints = np.zeros(0, np.int64)
        self.values: Floats = np.zeros((0, 6))
        self.skipped: list[tuple[int, str]] = []
        self.range = DeviceRange()
        self.rejected: list[str] = []
        self._feature_set = feature_set
        self._reasons: list[str] = []
        self._signals: list[Floats] = []
        self._last_ms = 0
        self._began_ms = 0
        self._device_began_ms: int | None = None
        self._decode = make_decoder(
            settings.readings_format, settings.schema_registry, settings.registry_login
        )
        self._state = PartitionState(
            settings,
            Metrics(),
            Position(start_offset, start_offset),
            RejectLimit(1, 1, lambda: 0.0),
            feature_set,
            self._keep_signals,
            record_outcomes=self._note_outcomes,
        )

    @property
    def start_us(self) -> int:
        """Nominal start of the window."""
        return 1000 * self.start_ms

    @property
    def end_us(self) -> int:
        """Nominal end of the window, exclusive."""
        return self.start_us + WINDOW.length_us

    @property
    def is_settled(self) -> bool:
        """Whether further records cannot change what is known of the window."""
        newest_us, settings = self.range.newest_us, self.settings
        return self.found is not None or (
            newest_us is not None
            and newest_us > self.end_us + settings.rules.lateness_us + settings.rules.idle_us
        )

    @property
    def is_conclusive(self) -> bool:
        """Whether the trace began so early that the window depends on nothing before.

        It did if it has samples from long before the window, or if the device was silent so long
        that it starts anew with its first record here.
        """
        first_us = self.range.first_us
        if first_us is None or self._device_began_ms is None:
            return False
        silent_us = 1000 * (self._device_began_ms - self._began_ms)
        return first_us < self.start_us - CONTEXT_US or silent_us > self.settings.rules.idle_us

    def add(self, records: Records) -> None:
        """Process the next records of the partition, at least one."""
        self._began_ms = self._began_ms or int(records.timestamp[0])
        decoded = self._decode(records, int(self.settings.max_future_skew_s * 1e6))
        for place in self._cuts(records, decoded):
            self._compute(records[place], int(records.offset[place.stop - 1]) + 1)
        key = self.device_id.encode()
        self.rejected += [
            reject.reason for reject in decoded.rejects if records[reject.record].key == key
        ]

    def finish(self, following: int) -> None:
        """Close the windows that only wait for more samples, as `--until-end` does."""
        self._take(self._state.finish(following), following - 1, self._last_ms)

    def _cuts(self, records: Records, decoded: Decoded) -> Iterable[slice]:
        """Yield parts of a fetch; near the window each ends with a record of the device.

        So the trace knows which record closed the window, or had a window skipped.
        """
        begin = 0
        if self.device_id in decoded.device_ids:
            device = decoded.device_ids.index(self.device_id)
            mine = decoded.device == device
            for record in np.unique(decoded.record[mine]).tolist():
                samples = mine & (decoded.record == record)
                times_us = decoded.time_us[samples]
                if self._device_began_ms is None:
                    self._device_began_ms = int(records.timestamp[record])
                self.range.add(times_us, self.start_us, self.end_us)
                if times_us.max() < self.start_us - WINDOW.hop_us:
                    continue
                self._reasons = []
                yield slice(begin, record + 1)
                begin = record + 1
                newest_us = int(times_us.max())
                self.skipped += [(newest_us, each) for each in self._reasons if each != LATE]
                self._note_samples(records, record, times_us, decoded.values[samples])
        if begin < len(records):
            yield slice(begin, len(records))

    def _note_samples(self, records: Records, record: int, times_us: Ints, values: Floats) -> None:
        inside = (times_us >= self.start_us) & (times_us < self.end_us)
        if not inside.any():
            return
        times_us, values = times_us[inside], values[inside]
        self.times_us = np.concatenate([self.times_us, times_us])
        self.values = np.concatenate([self.values, values])
        self.records.append(
            TracedRecord(
                int(records.offset[record]),
                int(records.timestamp[record]),
                int(times_us[0]),
                int(times_us[-1]),
                len(times_us),
                LATE in self._reasons,
            )
        )

    def _compute(self, records: Records, following: int) -> None:
        self._last_ms = int(records.timestamp[-1])
        self._take(self._state.compute(records, following), following - 1, self._last_ms)

    def _take(self, computed: Computed, offset: int, stamped_ms: int) -> None:
        """Keep the window if it is among the closed ones."""
        signals, self._signals = self._signals, []
        for row, window in enumerate(computed.windows):
            if (window.device_id, window.start_ms) == (self.device_id, self.start_ms):
                own = np.concatenate(signals)[row]
                without_gyroscope = bool(np.isnan(computed.features[row]).any())
                features = compute_features(self._feature_set, own[None])
                blank_rotation(self._feature_set, features, np.array([without_gyroscope]))
                self.found = TracedWindow(window, own, features[0], offset, stamped_ms)

    def _keep_signals(self, signals: Floats) -> Floats:
        """Stand in for the features of all devices: only those of the window are computed."""
        self._signals.append(signals.copy())
        return np.zeros((len(signals), len(self._feature_set.names)))

    def _note_outcomes(self, _labelled: Iterable[str], skipped: Iterable[tuple[str, str]]) -> None:
        self._reasons += [str(reason) for device, reason in skipped if device == self.device_id]
