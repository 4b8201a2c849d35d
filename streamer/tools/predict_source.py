"""Predicts the windows of a source with any predictor, a bounded number of windows at a time."""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from streamer.contracts.activities import UNKNOWN
from streamer.contracts.events import ActivityEvent
from streamer.datasets.feature_table import InvalidRecords
from streamer.datasets.prediction_files import (
    OutputFormat,
    PredictedWindow,
    PredictionFiles,
    open_prediction_files,
)
from streamer.datasets.recording_sources import Note
from streamer.datasets.window_chunks import WindowChunk, read_window_chunks
from streamer.errors import DataError
from streamer.features import FeatureSet
from streamer.labels.label_policy import LabelPolicy
from streamer.labels.labelling import Labeller
from streamer.metrics import Metrics
from streamer.predict.answers import Answers
from streamer.predict.chosen_models import choose_feature_set
from streamer.predict.factory import open_predictor
from streamer.profiles.profile import FileLayout
from streamer.settings import Settings

REFUSED = "refused"
"""The reason of a window that the endpoint refuses."""
SUMMARY = "summary.json"
"""Name of the file that is written last: a folder with it is complete."""


@dataclass(slots=True)
class PredictedSource:
    """What was predicted.

    Attributes:
        windows: number of windows.
        refused: how many of them the endpoint has refused.
        files: number of files without the summary.
        activities: number of windows by activity.
    """

    windows: int
    refused: int
    files: int
    activities: Counter[str]


async def predict_source(
    settings: Settings,
    source: Path,
    layout: FileLayout | None,
    folder: Path,
    file_format: OutputFormat,
    invalid: InvalidRecords,
    *,
    with_features: bool,
    note: Note,
    report: Callable[[float, int], None],
) -> PredictedSource:
    """Write the predictions of a source to files in a folder.

    The labels of recordings are those that a worker with these settings publishes: the earlier
    windows of a recording count. The windows of a feature table are labelled one by one, because a
    table says nothing about their order.

    Args:
        settings: of the predictor and the labels.
        source: see `read_window_chunks`.
        layout: the section `files` of a profile, or None.
        folder: an empty folder.
        file_format: of the files.
        invalid: counts the invalid records of a table.
        with_features: whether to write the features too.
        note: called about recordings that are left out, and about trouble with an endpoint.
        report: called with the share of the source that was predicted, and the number of windows.

    Raises:
        DataError: the source is malformed, or has no window.
        EndpointError: there is no such endpoint.
        SettingsError: a setting is wrong.
    """
    feature_set = choose_feature_set(settings)
    found = PredictedSource(0, 0, 0, Counter())
    chunks = read_window_chunks(source, layout, feature_set, invalid, note)

    def note_trouble(trouble: str | None) -> None:
        note("the endpoint answers again" if trouble is None else f"{trouble}; trying again")

    columns = len(feature_set.names) if with_features else 0
    async with open_predictor(settings, Metrics(), note_trouble) as ask:
        with open_prediction_files(folder, file_format, columns) as files:
            labelling: Labeller | None = None
            while (chunk := await asyncio.to_thread(next, chunks, None)) is not None:
                labelling = labelling or Labeller(_choose_policy(settings, chunk))
                answers = await ask(chunk.features)
                await asyncio.to_thread(_write, chunk, answers, labelling, files, found)
                report(chunk.share, found.windows)
        found.files = files.count
    if not found.windows:
        raise DataError(f"{source} has no window to predict")
    _write_summary(folder, found, feature_set)
    return found


def _choose_policy(settings: Settings, chunk: WindowChunk) -> LabelPolicy:
    policy = LabelPolicy.of(settings)
    return policy if chunk.in_time else replace(policy, smoothing=False, familiarity=False)


def _write(
    chunk: WindowChunk,
    answers: Answers,
    labeller: Labeller,
    files: PredictionFiles,
    found: PredictedSource,
) -> None:
    events = iter(labeller.label(chunk.windows, answers))
    labeller.forget(chunk.ended)
    rows = list(_make_rows(chunk, answers, events))
    files.write(rows, chunk.features)
    found.windows += len(rows)
    found.refused += len(answers.refused)
    found.activities.update(row.activity for row in rows)


def _make_rows(
    chunk: WindowChunk, answers: Answers, events: Iterator[ActivityEvent]
) -> Iterator[PredictedWindow]:
    for i, window in enumerate(chunk.windows):
        start_s = window.start_ms / 1000 if chunk.in_time else None
        about = window.device_id, start_s, chunk.subjects[i] or None, chunk.truths[i] or None
        if i in answers.refused:
            yield PredictedWindow(*about, UNKNOWN, REFUSED, None, None, None, None, {})
            continue
        event = next(events)
        yield PredictedWindow(
            *about,
            event.activity,
            event.reason,
            event.confidence,
            event.activity_raw,
            event.label,
            event.predictor,
            event.scores,
        )


def _write_summary(folder: Path, found: PredictedSource, feature_set: FeatureSet) -> None:
    summary = {
        "windows": found.windows,
        "refused": found.refused,
        "activities": dict(found.activities.most_common()),
        "feature_set": {"name": feature_set.name, "version": feature_set.version},
        "features": feature_set.names,
    }
    content = msgspec.json.format(msgspec.json.encode(summary), indent=2)
    (folder / SUMMARY).write_bytes(content + b"\n")
