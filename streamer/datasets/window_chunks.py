"""Reads windows with their features from any source, a bounded number at a time.

Training reads a source as a whole (`feature_sources`). A prediction takes one chunk after the
other, so that a source may be larger than memory. Of recordings, one at a time is in memory.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from streamer.arrays import Floats
from streamer.datasets.feature_table import InvalidRecords, TableRow, find_valid, read_rows
from streamer.datasets.labelled_windows import true_activity
from streamer.datasets.profiled_recordings import read_profiled_recordings
from streamer.datasets.public_recordings import read_labelled_recordings, read_recordings
from streamer.datasets.published_features import (
    find_published_features,
    read_activity_names,
    read_published_rows,
)
from streamer.datasets.recording import Recording
from streamer.datasets.recording_sources import Note, check_units, has_public_layout
from streamer.datasets.regular_grid import split_and_regularize
from streamer.datasets.signal_checks import find_faults
from streamer.errors import DataError
from streamer.features import UCI_HAR, FeatureSet, compute_features
from streamer.features.compute import blank_rotation
from streamer.features.filters import condition
from streamer.features.window_shape import WINDOW
from streamer.profiles.profile import FileLayout
from streamer.stream.windows import Window

CHUNK_WINDOWS: Final = 4096
"""Windows of a chunk at most: 18 MB of features."""


@dataclass(slots=True)
class WindowChunk:
    """Windows that follow each other in a source.

    Attributes:
        windows: n windows. The device is the recording, or file and line of a record; the time is
            since the start of the recording, or 0 for a record.
        features: (n, features); NaN where the recording lacks the sensor.
        subjects: n subjects; empty texts where they are not known.
        truths: n true activities; empty texts where they are not known.
        share: of the source that was read after this chunk, 0 to 1.
        in_time: whether the windows have times and neighbours; records of a table do not.
        ended: recordings that end with this chunk.
    """

    windows: list[Window]
    features: Floats
    subjects: list[str]
    truths: list[str]
    share: float
    in_time: bool
    ended: list[str] = field(default_factory=list)


class _Share:
    """Remembers which share of a source was read."""

    value = 0.0

    def set(self, value: float) -> None:
        self.value = value


def read_window_chunks(
    source: Path,
    layout: FileLayout | None,
    feature_set: FeatureSet,
    invalid: InvalidRecords,
    note: Note = lambda _: None,
) -> Iterator[WindowChunk]:
    """Yield the windows of a source in order.

    Args:
        source: recordings in the public layout, with or without ``labels.txt``; recordings that a
            profile describes; the published data set, as a folder or a zip; or converted CSV files.
        layout: the section `files` of a profile; None for the other sources.
        feature_set: the features that the model takes.
        invalid: counts the invalid records of tables.
        note: called about recordings that are left out.

    Raises:
        DataError: the source is none of these, or it is malformed.
    """
    share = _Share()
    if layout is not None:
        recordings = _read_profiled(source, layout, feature_set, share, note)
    elif source.is_dir() and any(source.glob("acc_exp*_user*.txt")):
        recordings = _read_public(source, share)
    else:
        yield from _chunk_records(_read_records(source, feature_set, invalid, share), share)
        return
    for recording, has_gyroscope in recordings:
        yield from _cut(recording, has_gyroscope, feature_set, share)


def _read_public(source: Path, share: _Share) -> Iterator[tuple[Recording, bool]]:
    files = sum(1 for _ in source.glob("acc_exp*_user*.txt"))
    labelled = has_public_layout(source)
    found = read_labelled_recordings(source) if labelled else read_recordings(source)
    for read, recording in enumerate(check_units(found), 1):
        share.set(min(1.0, read / files))
        yield recording, True


def _read_profiled(
    source: Path, layout: FileLayout, feature_set: FeatureSet, share: _Share, note: Note
) -> Iterator[tuple[Recording, bool]]:
    for raw in read_profiled_recordings(source, layout, share.set):
        if fault := next(find_faults(raw), None):
            raise DataError(fault)
        if raw.gyro is None and feature_set.needs_gyroscope:
            note(f"{raw.name} has no rotation, which the model needs; it is left out")
            continue
        parts = 0
        for recording in split_and_regularize(raw):
            parts += 1
            yield recording, raw.gyro is not None
        if not parts:
            note(f"{raw.name} has no part that is long enough for a window; it is left out")


def _cut(
    recording: Recording, has_gyroscope: bool, feature_set: FeatureSet, share: _Share
) -> Iterator[WindowChunk]:
    """Cut a recording into windows as the worker does, the first at its first sample."""
    samples = recording.acc_gyro.T
    starts = np.arange(0, samples.shape[1] - WINDOW.length - WINDOW.lookahead + 1, WINDOW.hop)
    if not len(starts):
        return
    # The jerk needs one sample after the window.
    signals = sliding_window_view(
        condition(samples, start="rest"), WINDOW.length + 1, axis=1
    ).swapaxes(0, 1)
    name = recording.device_id
    for begin in range(0, len(starts), CHUNK_WINDOWS):
        chosen = starts[begin : begin + CHUNK_WINDOWS]
        features = compute_features(feature_set, signals[chosen])
        if not has_gyroscope:
            blank_rotation(feature_set, features, np.ones(len(chosen), np.bool_))
        times_ms = (chosen * (WINDOW.step_us // 1000)).tolist()
        last = begin + len(chosen) == len(starts)
        settled_ms = WINDOW.settled_us // 1000
        yield WindowChunk(
            [Window(name, ms, 1.0, ms >= settled_ms, ms > 0) for ms in times_ms],
            features,
            [recording.subject] * len(chosen),
            [true_activity(start, recording.segments) for start in chosen.tolist()],
            share.value,
            in_time=True,
            ended=[name] if last else [],
        )


def _read_records(
    source: Path, feature_set: FeatureSet, invalid: InvalidRecords, share: _Share
) -> Iterator[tuple[TableRow, Floats]]:
    rows: Iterator[TableRow]
    root = None
    if source.is_dir() or source.suffix == ".zip":
        root = find_published_features(source)
        if root is None and (source.suffix == ".zip" or not any(source.glob("*.csv"))):
            raise DataError(
                f"{source} has nothing to predict: expected recordings such as "
                "acc_exp01_user01.txt, train/X_train.txt as in the published data set, or "
                "converted .csv files; --profile describes recordings of other devices"
            )
    if feature_set.name != UCI_HAR.name:
        raise DataError(
            f"{source} has the features {UCI_HAR.name}, but the model takes those of "
            f"{feature_set.name}: choose the model `waist`, or one trained with --features "
            "published; or predict recordings"
        )
    if root is None:
        rows = read_rows(source, share.set)
    else:
        names = read_activity_names(root / "activity_labels.txt")
        rows = read_published_rows(root, names, invalid, share.set)
    return find_valid(rows, invalid)


def _chunk_records(
    records: Iterator[tuple[TableRow, Floats]], share: _Share
) -> Iterator[WindowChunk]:
    rows: list[TableRow] = []
    features = np.empty((CHUNK_WINDOWS, len(UCI_HAR.names)))

    def make() -> WindowChunk:
        return WindowChunk(
            [Window(row.place, 0, 1.0, settled=True, follows=False) for row in rows],
            features[: len(rows)],
            [row.subject or "" for row in rows],
            [row.label for row in rows],
            share.value,
            in_time=False,
        )

    for row, values in records:
        features[len(rows)] = values
        # The texts of the values are five times as large as the values.
        rows.append(replace(row, values=()))
        if len(rows) == CHUNK_WINDOWS:
            yield make()
            rows, features = [], np.empty_like(features)
    if rows:
        yield make()
