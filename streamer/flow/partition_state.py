"""The state of one partition: what each stage of the flow keeps between two fetches.

It is one long module because the stages are taken over, handed over and recovered together.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import structlog

from streamer.arrays import Floats
from streamer.contracts.events import ActivityEvent
from streamer.contracts.readings import LATEST_TIMESTAMP_MS, Decoded
from streamer.contracts.records import Records
from streamer.features import UCI_HAR, FeatureSet, compute_features
from streamer.features.compute import blank_rotation
from streamer.features.window_shape import WINDOW
from streamer.flow.device_warnings import DeviceWarnings
from streamer.flow.label_delays import ArrivalMeter, LabelDelays, read_trace
from streamer.flow.plausibility import find_doubts
from streamer.flow.rejects import RejectLimit
from streamer.flow.stage_results import (
    Computed,
    DeadLetter,
    Output,
    Predicted,
    make_late_letters,
    make_refused_letter,
    make_skipped_letter,
)
from streamer.flow.unfamiliar_devices import UnfamiliarDevices
from streamer.flow.unlabelled_devices import LATE, RecordOutcomes
from streamer.labels.label_policy import LabelPolicy
from streamer.labels.labelling import Labeller
from streamer.labels.segments import Segments
from streamer.metrics import Metrics
from streamer.profiles.choose_decoder import make_decoder
from streamer.settings import Settings
from streamer.stream.partition import PartitionWindows, PushResult
from streamer.stream.position import Position, ReplayStart
from streamer.stream.rebuilt import Rebuilt
from streamer.stream.samples import Samples
from streamer.stream.windows import ENOUGH_WINDOWS, ClosedWindows, Window

if TYPE_CHECKING:
    from streamer.storage.window_files import StoredWindows

log = structlog.get_logger(__name__)


def merge_small_parts(parts: list[ClosedWindows]) -> Iterator[Floats]:
    """The windows' signals, small parts in one array: windows cost less when there are many."""
    waiting: list[Floats] = []
    count = 0
    for part in parts:
        waiting.append(part.signals)
        count += len(part)
        if count >= ENOUGH_WINDOWS:
            yield np.concatenate(waiting)
            waiting, count = [], 0
    if count:
        yield np.concatenate(waiting)


def samples_of(records: Records, decoded: Decoded) -> Samples:
    """Return a fetch as windows take it."""
    # Producers may send any 64-bit integer as the time.
    stamp_ms = np.clip(records.timestamp, -LATEST_TIMESTAMP_MS, LATEST_TIMESTAMP_MS)
    return Samples(
        decoded.device_ids,
        decoded.device,
        decoded.time_us,
        decoded.values,
        decoded.record,
        records.offset,
        stamp_ms.astype(np.int64) * 1000,
        records.appended,
    )


class PartitionState:
    """The state of one partition, and its steps: records to features, and predictions to events."""

    def __init__(
        self,
        settings: Settings,
        metrics: Metrics,
        position: Position,
        limit: RejectLimit,
        feature_set: FeatureSet = UCI_HAR,
        features: Callable[[Floats], Floats] | None = None,
        record_devices: Callable[[list[str]], None] = lambda _: None,
        record_outcomes: RecordOutcomes = lambda _labelled, _skipped: None,
        record_events: Callable[[Sequence[ActivityEvent]], None] = lambda _: None,
    ) -> None:
        self._settings = settings
        self._metrics = metrics
        self._limit = limit
        self._feature_set = feature_set
        self._features = features or partial(compute_features, feature_set)
        self._record_devices = record_devices
        self._record_outcomes = record_outcomes
        self._record_events = record_events
        self._decoder = make_decoder(
            settings.readings_format,
            settings.schema_registry,
            settings.registry_login,
        )
        self._windows = PartitionWindows(settings.rules, WINDOW, position.clock)
        self._replay_start = ReplayStart(position)
        self._rebuilt = Rebuilt()
        self._skipped = np.array(position.skipped, np.int64)
        self._warnings = DeviceWarnings(settings)
        self._arrivals = ArrivalMeter(metrics)
        self._unpredicted = 0
        self._unfamiliar = UnfamiliarDevices(metrics)
        self.labels = Labeller(LabelPolicy.of(settings))
        self.segments = Segments()
        self.position = position
        self._stores = settings.store_features is not None
        self._stored = position.next if position.stored is None else position.stored
        self.unstored: list[StoredWindows] = []
        """Windows that the recovery has closed again and that are not stored."""

    def compute(self, records: Records, following: int) -> Computed:
        """Return the features of the windows that records close. Runs in a thread: only computes.

        Args:
            records: the next ones, at least one.
            following: the record that comes after them.
        """
        oldest_ms = int(records.timestamp[0])
        records, skipped = self._split_skipped(records)
        if not len(records):
            self._processed(following, 0)
            return Computed([], np.empty((0, 0)), [], [], skipped, self.position, oldest_ms)
        decoded, samples = self._decode(records)
        self._record_devices(decoded.device_ids)
        keys = [records[reject.record].key for reject in decoded.rejects]
        self._limit.count(len(records), keys)
        devices = self._windows.devices
        with self._metrics.stage("windows"):
            outcome = self._withhold(self._windows.push(samples))
        self._warn(outcome)
        self._metrics.devices.inc(self._windows.devices - devices)
        rejects = [
            DeadLetter(records[reject.record], reject.reason, reject.detail)
            for reject in decoded.rejects
        ]
        if len(outcome.late):
            devices_late = np.unique(decoded.device[outcome.late]).tolist()
            self._record_outcomes((), [(decoded.device_ids[i], LATE) for i in devices_late])
        letters = skipped + rejects
        if self._settings.dead_letter_late:
            letters += make_late_letters(records, decoded, outcome)
        with self._metrics.lock:
            self._metrics.count_decoded(len(records), decoded)
            self._processed(following, len(decoded.record))
        delays = self._arrivals.measure(records, decoded, outcome.windows)
        self._arrivals.forget(outcome.forgotten)
        if self._metrics.tracer is not None:
            delays.trace = read_trace(records)
        return self._featured(outcome, letters, oldest_ms, delays)

    def label(self, predicted: Predicted) -> Output:
        """Return the events of predictions. Call it in the order in which they were computed."""
        computed, answers = predicted.computed, predicted.answers
        with self._metrics.lock:
            self._unpredicted -= len(computed.windows)
            self._metrics.count_predicted(len(computed.windows))
        before = len(self.labels.unfamiliar)
        events = self.labels.label(computed.windows, answers)
        self._record_events(events)
        self.labels.forget(computed.forgotten)
        ended = computed.ended + computed.forgotten
        segments = self.segments.update(computed.windows, answers.refused, events, ended)
        self._unfamiliar.name_new(events, computed.forgotten)
        self._metrics.unfamiliar_devices.inc(len(self.labels.unfamiliar) - before)
        refused = [
            make_refused_letter(computed, row, words) for row, words in answers.refused.items()
        ]
        letters = computed.dead_letters + refused
        return Output(
            events,
            segments,
            letters,
            computed.position,
            computed.oldest_ms,
            computed.delays,
            self._as_stored(computed.windows, computed.features) if self._stores else None,
        )

    def replay(self, records: Records) -> None:
        """Process records again whose output is already published."""
        first, following = int(records.offset[0]), int(records.offset[-1]) + 1
        records, _ = self._split_skipped(records)
        if len(records):
            self._rebuild(self._windows.push(self._decode(records)[1]), first)
        self._replay_start.processed(following, self._windows.clock)

    def replay_flush(self, following: int) -> None:
        """Flush before the record at which `finish` did."""
        self._rebuild(self._windows.flush(), following)

    def _rebuild(self, outcome: PushResult, first: int) -> None:
        """Note windows that are closed again, and keep those that are not stored.

        Args:
            outcome: of a fetch that lies wholly before the stored position or after it.
            first: its first record.
        """
        self._rebuilt.add(outcome)
        if not self._stores or first < self._stored:
            return
        parts = []
        for part in outcome.windows:
            good, _ = find_doubts(part, self._feature_set.needs_gyroscope)
            parts.append(part.of(good))
        windows = [window for part in parts for window in part]
        if windows:
            self.unstored.append(self._as_stored(windows, self._compute_features(parts)))

    @property
    def rebuilt(self) -> Rebuilt:
        """Return the windows that the recovery closed again."""
        return self._rebuilt

    @property
    def most_events_back(self) -> int:
        """How many events back the last event of every live device is, at most."""
        return self._rebuilt.most_events(self._settings.rules.lateness_us)

    def decided_by(self, models: str) -> None:
        """Let the position say that models with this name decide from the next record on."""
        self._replay_start.decided_by(models, self.position.next)

    def take_over(self) -> None:
        """Count the open windows and waiting samples that this worker takes over."""
        windows = self._windows
        windows.take_tally()
        with self._metrics.lock:
            self._metrics.count_taken_over(windows.devices, windows.open_windows, windows.waiting)
            self._metrics.unfamiliar_devices.inc(len(self.labels.unfamiliar))

    def hand_over(self) -> None:
        """Count the open windows and waiting samples that this worker hands over.

        So it does for windows that wait for their prediction: the next owner closes them again.
        """
        windows = self._windows
        with self._metrics.lock:
            self._metrics.count_moved(
                windows.devices, windows.open_windows, self._unpredicted, windows.waiting
            )
            self._metrics.unfamiliar_devices.dec(len(self.labels.unfamiliar))
            self._arrivals.hand_over()

    def finish(self, following: int) -> Computed:
        """Close the windows that only wait for the watermark, because no record is left.

        Args:
            following: the record that would be the next one.
        """
        self._replay_start.flushed(following)
        outcome = self._withhold(self._windows.flush())
        with self._metrics.lock:
            self._processed(following, 0)
        return self._featured(outcome, [], self._windows.clock_us // 1000, LabelDelays())

    def _split_skipped(self, records: Records) -> tuple[Records, list[DeadLetter]]:
        """Return the records to process, and dead letters of those to be skipped."""
        if not len(self._skipped):
            return records, []
        skipped = np.isin(records.offset, self._skipped)
        letters = [make_skipped_letter(records[i]) for i in np.flatnonzero(skipped).tolist()]
        return Records(records.buffer, records.table[~skipped]), letters

    def _decode(self, records: Records) -> tuple[Decoded, Samples]:
        with self._metrics.stage("decode"):
            decoded = self._decoder(records, int(self._settings.max_future_skew_s * 1e6))
        return decoded, samples_of(records, decoded)

    def _withhold(self, outcome: PushResult) -> PushResult:
        """Skip the windows that cannot be what the contract says, and name their devices."""
        parts = []
        skipped: list[tuple[str, str]] = [*outcome.skipped]
        is_labelled: dict[str, bool] = {}
        for part in outcome.windows:
            good, doubts = find_doubts(part, self._feature_set.needs_gyroscope)
            parts.append(part if good.all() else part.of(good))
            is_labelled.update(zip(part.device_ids, good.tolist(), strict=True))
            for doubt, settled in zip(doubts, part.settled[~good].tolist(), strict=True):
                self._windows.tally.withhold(doubt.skip, settled)
                self._metrics.implausible.labels(doubt.looks_like).inc()
                self._warnings.say_doubt(doubt, self._windows.clock_us)
                skipped.append((doubt.device_id, doubt.skip))
        self._record_outcomes((each for part in parts for each in part.device_ids), skipped)
        self._warnings.forget(outcome.forgotten)
        withheld = [device_id for device_id, labelled in is_labelled.items() if not labelled]
        return replace(outcome, windows=parts, ended=outcome.ended + withheld)

    def _warn(self, outcome: PushResult) -> None:
        """Name the devices whose clocks are wrong, and say when there are too many devices."""
        self._metrics.devices_ahead.inc(len(outcome.ahead))
        self._warnings.say_restarted(outcome.restarted)
        self._warnings.say_ahead(outcome.ahead, self._windows.clock_us)
        if self._windows.tally.pushed_out:
            self._warnings.say_pushed_out(self._windows.clock_us)

    def _processed(self, following: int, samples: int) -> None:
        self._replay_start.processed(following, self._windows.clock)
        self.position = self._replay_start.position(self._windows.low, following)
        tally = self._windows.take_tally()
        self._unpredicted += tally.closed
        self._metrics.count_tally(tally, samples)

    def _featured(
        self,
        outcome: PushResult,
        dead_letters: list[DeadLetter],
        oldest_ms: int,
        delays: LabelDelays,
    ) -> Computed:
        with self._metrics.stage("features"):
            features = self._compute_features(outcome.windows)
        return Computed(
            [window for part in outcome.windows for window in part],
            features,
            outcome.forgotten,
            outcome.ended,
            dead_letters,
            self.position,
            oldest_ms,
            delays,
        )

    def _compute_features(self, parts: list[ClosedWindows]) -> Floats:
        """Return the features (n, features) of all windows; (0, 0) if there are none."""
        found = [self._features(signals) for signals in merge_small_parts(parts)]
        features = np.concatenate(found) if found else np.empty((0, 0))
        if not all(part.gyroscope.all() for part in parts):
            gyroscope = np.concatenate([part.gyroscope for part in parts])
            blank_rotation(self._feature_set, features, ~gyroscope)
        return features

    @staticmethod
    def _as_stored(windows: list[Window], features: Floats) -> "StoredWindows":
        from streamer.flow.closed_windows import make_stored_windows  # noqa: PLC0415 - seldom used

        return make_stored_windows(windows, features)
