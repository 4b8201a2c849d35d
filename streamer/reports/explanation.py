"""How the label of a window came about, or why there is none."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from streamer.arrays import Floats, Ints
from streamer.contracts.events import ActivityEvent
from streamer.features.window_shape import WINDOW
from streamer.flow.window_trace import DeviceRange, TracedRecord, TracedWindow
from streamer.labels.label_policy import LabelPolicy
from streamer.predict.feature_effects import FeatureEffects
from streamer.reports.absence import Absence


@dataclass(frozen=True, slots=True)
class Stage:
    """A moment on the way of a window.

    Attributes:
        name: of the moment.
        time_ms: when it was, milliseconds since the epoch.
        clock: whose clock says so.
        waited_ms: since the moment before; None for the first one.
    """

    name: str
    time_ms: float
    clock: str
    waited_ms: float | None


@dataclass(frozen=True, slots=True)
class PublishedRecord:
    """The event as it is in the topic of events.

    Attributes:
        event: what it says.
        offset: its place in the partition.
        stamped_ms: its Kafka timestamp.
    """

    event: ActivityEvent
    offset: int
    stamped_ms: int


@dataclass(frozen=True, slots=True, eq=False)
class Explanation:
    """How the label of a window came about, or why there is none.

    Attributes:
        window_id: the window that was asked for.
        device_id: its device.
        start_ms: its nominal start.
        partition: where the readings and the events of the device are; None if that is not known.
        published: the event in the topic; None if there is none.
        recomputed: the event that the readings give with these settings; None if they give none.
        identical: whether both have the same bytes; None if one of them is missing.
        absence: why there is no event; None if there is one.
        words: what that means and what to do; or in what the events differ.
        window: the window as it was computed; None if it has not closed.
        records: records with samples in the time of the window.
        times_us: (n,) times of these samples.
        values: (n, 6) the samples.
        range: the samples of the device that were read.
        read_from: the first offset of the readings that was read again; None if none was read.
        before: the event of the window before it, from which the belief continues; None if the
            device starts anew, or if the event is gone.
        familiarity_before: probability that the device moves as the model has learned, before it.
        effects: of the features; None if the model was not asked.
        policy: how doubtful windows are labelled.
        stages: the moments on the way of the window, in order.
        rejected: reasons for which records of the device were rejected.
    """

    window_id: str
    device_id: str
    start_ms: int
    partition: int | None
    published: PublishedRecord | None
    recomputed: ActivityEvent | None
    identical: bool | None
    absence: Absence | None
    words: str
    window: TracedWindow | None
    records: Sequence[TracedRecord]
    times_us: Ints
    values: Floats
    range: DeviceRange
    read_from: int | None
    before: ActivityEvent | None
    effects: FeatureEffects | None
    policy: LabelPolicy
    stages: Sequence[Stage]
    rejected: Sequence[str]

    @property
    def event(self) -> ActivityEvent | None:
        """The published event, or else the one that the readings give."""
        return self.published.event if self.published else self.recomputed

    @property
    def sampling_rate_hz(self) -> float | None:
        """Rate of the samples in the time of the window; None for less than two."""
        times_us = np.unique(self.times_us)
        if len(times_us) < 2:
            return None
        return float(1e6 * (len(times_us) - 1) / (times_us[-1] - times_us[0]))


def measure_spectrum(signals: Floats) -> tuple[Floats, Floats]:
    """Return the spectrum of the body acceleration of a window.

    Args:
        signals: (9, 129) of the window.

    Returns:
        (65,) frequencies in Hz, and (65,) amplitudes in g, of the three axes together.
    """
    body = signals[:3, : WINDOW.length]
    moved = body - body.mean(axis=1, keepdims=True)
    amplitudes: Floats = np.abs(np.fft.rfft(moved, axis=1)) * (2 / WINDOW.length)
    together: Floats = np.sqrt((amplitudes**2).sum(axis=0))
    hertz: Floats = np.arange(len(together), dtype=np.float64)
    return hertz * (WINDOW.rate_hz / WINDOW.length), together


def measure_magnitude(signals: Floats) -> Floats:
    """Return (128,) the length of the acceleration of a window, gravity included, in g."""
    total = signals[:3, : WINDOW.length] + signals[3:6, : WINDOW.length]
    length: Floats = np.sqrt((total**2).sum(axis=0))
    return length
