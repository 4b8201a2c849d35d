"""Reads labelled windows for training from recordings or from a table of features."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from streamer.datasets.class_names import PUBLIC_NAMES, activity_of_label
from streamer.datasets.feature_sources import read_feature_table
from streamer.datasets.feature_table import FeatureTable, InvalidRecords
from streamer.datasets.labelled_windows import (
    LabelledWindows,
    MakeCopies,
    cut_recordings,
    make_no_copies,
    select_users,
)
from streamer.datasets.progress import ReportProgress, ignore_progress
from streamer.datasets.recording import Recording
from streamer.datasets.recording_sources import Note, has_public_layout, read_for_learning
from streamer.errors import DataError
from streamer.features import GRAVITY_FRAME, FeatureSet
from streamer.profiles.profile import FileLayout
from streamer.training.variation import IN_ANY_ORIENTATION, VARIATIONS, make_copies

PUBLIC, OTHER, TABLE = "recordings (public layout)", "recordings (profile)", "table of features"


@dataclass(frozen=True, slots=True)
class TrainingSource:
    """Recordings or a table of features, and what is known of all of them.

    Attributes:
        path: a folder of recordings, or what `read_feature_table` reads.
        layout: how the files of other devices are read; None for other sources.
        place: where the device was, such as `waist`; empty if it is unknown.
        name: stands before the names of recordings and subjects, because subject 3 of another
            source is another person; empty when there is one source.
    """

    path: Path
    layout: FileLayout | None = None
    place: str = ""
    name: str = ""

    def qualify(self, name: str) -> str:
        """Return a name of this source as it is called among all sources."""
        return f"{self.name}/{name}" if self.name else name


def read_training_windows(
    sources: Sequence[TrainingSource],
    users: Collection[str] = (),
    exclude_users: Collection[str] = (),
    with_copies: bool = True,
    seed: int = 0,
    feature_set: FeatureSet = GRAVITY_FRAME,
    report: ReportProgress = ignore_progress,
    note: Note = lambda _: None,
) -> tuple[LabelledWindows, str]:
    """Read recordings and cut them into windows, or read tables of features.

    Args:
        sources: at least one.
        users: the subjects to take; all when empty.
        exclude_users: the subjects to leave out.
        with_copies: whether to add varied copies of each recording; a table has none.
        seed: of the random offsets of windows and of the variations.
        feature_set: the features to compute of recordings; those of a table are the published ones.
        report: called when a recording is done.
        note: called with what the user should know about a recording.

    Returns:
        The windows, and what kind of sources they are from.

    Raises:
        DataError: a source is none of these, it is malformed, or a user does not occur.
    """
    recordings: list[Recording] = []
    kinds: list[str] = []
    for source in sources:
        if source.layout is None and not has_public_layout(source.path):
            if len(sources) > 1:
                raise DataError(
                    f"{source.path} is a table of features, which cannot be joined with other "
                    "sources: it does not say how its windows were cut"
                )
            table = read_feature_table(source.path, InvalidRecords())
            windows = _windows_of_table(table, source)
            return windows.of(select_users(windows.subjects.tolist(), users, exclude_users)), TABLE
        recordings += _read_recordings(source, with_copies, note, feature_set.needs_gyroscope)
        kinds.append(PUBLIC if source.layout is None else OTHER)
    windows = cut_recordings(
        recordings,
        users,
        exclude_users,
        _copies_for(feature_set) if with_copies else make_no_copies,
        seed,
        feature_set,
        report,
    )
    return windows, ", ".join(dict.fromkeys(kinds))


def _read_recordings(
    source: TrainingSource, for_training: bool, note: Note, needs_gyroscope: bool
) -> list[Recording]:
    """Read recordings, and say where the devices were, and whose they are among all sources."""
    found = read_for_learning(source.path, source.layout, note, needs_gyroscope)
    if for_training and not all(each.subject for each in found):
        raise DataError(
            f"nobody knows whose recordings are in {source.path}, so the model cannot be judged on "
            "people it has not learned from: name the person in the profile, with the group "
            "`subject` of `name` or the column `subject`"
        )
    return [
        replace(
            each,
            device_id=source.qualify(each.device_id),
            subject=source.qualify(each.subject),
            place=source.place,
        )
        for each in found
    ]


def _copies_for(feature_set: FeatureSet) -> MakeCopies:
    variations = IN_ANY_ORIENTATION if feature_set.in_gravity_frame else VARIATIONS
    return partial(make_copies, variations=variations)


def _windows_of_table(table: FeatureTable, source: TrainingSource) -> LabelledWindows:
    """Return the records as windows, each as a recording of its own: their order is unknown."""
    if table.subjects is None:
        raise DataError(
            f"{source.path} has no subjects, so the model cannot be judged on people it has not "
            "learned from; convert the data again with --with-subject"
        )
    names = {str(number): name for number, name in PUBLIC_NAMES.items()} | dict(table.names)
    truths = [activity_of_label(names.get(label, label)) for label in table.labels]
    return LabelledWindows(
        features=table.features,
        truths=np.array(truths),
        subjects=table.subjects.astype(np.str_),
        recordings=np.arange(len(table)).astype(np.str_),
        starts=np.zeros(len(table), np.int64),
        copies=np.zeros(len(table), np.int64),
        places=np.full(len(table), source.place),
    )
