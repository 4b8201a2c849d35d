"""Judges models and algorithms by the same windows."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from msgspec import UNSET

from streamer.datasets.class_names import order_classes
from streamer.datasets.labelled_windows import UNLABELLED, LabelledWindows
from streamer.datasets.progress import ReportProgress, ignore_progress
from streamer.errors import DataError
from streamer.features import FeatureSet
from streamer.model import artifact
from streamer.model.artifact import Model
from streamer.training.classifiers import fit_classifiers
from streamer.training.cross_validation import cross_validate
from streamer.training.judgement import Judgement, judge
from streamer.training.linear_classifiers import ALGORITHMS, Algorithm
from streamer.training.training_windows import TrainingSource, read_training_windows


def judge_candidates(
    candidates: Sequence[str],
    sources: Sequence[TrainingSource],
    selection: dict[str, Any],
    report: ReportProgress = ignore_progress,
    leave_out: str | None = None,
) -> dict[str, Judgement]:
    """Judge each candidate by the recordings of a source.

    Args:
        candidates: algorithms, which are cross-validated on the same folds, or paths of model
            files.
        sources: as for `read_training_windows`.
        selection: the other arguments of `read_training_windows`, without `with_copies`. Its
            feature set is that of the algorithms; a model file says which one it takes.
        report: called when a part of the work is done.
        leave_out: judge algorithms by this source, and learn from the others.

    Raises:
        DataError: the source is malformed, or has none of a model's activities.
        ModelError: a model cannot be used.
    """
    algorithms: dict[str, Algorithm] = {name: name for name in ALGORITHMS if name in candidates}
    models = {name: artifact.load(Path(name)) for name in candidates if name not in algorithms}
    wanted: FeatureSet = selection["feature_set"]
    cut: dict[FeatureSet, LabelledWindows] = {}

    def read(feature_set: FeatureSet) -> LabelledWindows:
        if feature_set not in cut:
            with_copies = bool(algorithms) and feature_set is wanted
            given = selection | {"feature_set": feature_set, "with_copies": with_copies}
            cut[feature_set], _ = read_training_windows(sources, report=report, **given)
        return cut[feature_set]

    judgements = {}
    for name in candidates:
        if name in algorithms:
            windows = read(wanted)
            if leave_out is not None:
                judgement = _judge_left_out(windows, leave_out, algorithms[name], report)
            else:
                activities = order_classes(windows.truths.tolist())
                held_out = cross_validate(windows, activities, algorithms[name], report)
                judgement = judge(held_out.windows, held_out.activities, held_out.scores)
        else:
            windows = read(models[name].feature_set)
            check_features(models[name], windows)
            originals = windows.of(windows.copies == 0)
            scores = models[name].probabilities(originals.features)
            judgement = judge(originals, models[name].card.activities, scores)
        if not np.isin(judgement.windows.truths, judgement.activities).any():
            raise DataError(f"the sources have no window wholly within an activity of {name}")
        judgements[name] = judgement
    return judgements


def _judge_left_out(
    windows: LabelledWindows, source: str, algorithm: Algorithm, report: ReportProgress
) -> Judgement:
    """Judge by one source a model that is fitted to the others and calibrated on them."""
    left_out = np.char.startswith(windows.subjects, f"{source}/")
    if not left_out.any() or left_out.all():
        raise DataError(
            f"there must be a source called {source}, to be left out, and others, to learn from"
        )
    others = windows.of(~left_out)
    activities = order_classes(others.truths.tolist())
    held_out = cross_validate(others, activities, algorithm, report)
    fitted = fit_classifiers(others, others.truths != UNLABELLED, activities, algorithm)
    report("fitting to all users", 1, 1)
    theirs = windows.of(left_out & (windows.copies == 0))
    outputs = fitted.outputs(theirs.features)
    scores = held_out.calibration.probabilities(fitted.division, outputs)
    return judge(theirs, activities, scores)


def check_features(model: Model, windows: LabelledWindows) -> None:
    """Check that windows have the features that a model takes.

    Raises:
        DataError: they have others.
    """
    if windows.feature_set is not model.feature_set:
        raise DataError(
            f"the model takes the features {model.feature_set.name}, and a table has those of "
            f"{windows.feature_set.name}; judge it by recordings"
        )


def users_learned_from(model: Model, judgement: Judgement) -> list[str]:
    """Return the users of a judgement whose numbers occur in the model's training data."""
    adapted = model.card.adapted
    known = {*model.card.training.subjects, *(() if adapted is UNSET else adapted.subjects)}
    return [user for user in judgement.subjects if user in known]


def find_unnamed(model: Model, judgement: Judgement) -> str | None:
    """Return a note if it is unknown whether a model has learned from these users, else None."""
    names = {subject.split("/")[0] for subject in model.card.training.subjects if "/" in subject}
    if not names or any("/" in subject for subject in judgement.subjects):
        return None
    return (
        f"the model has learned from users of {', '.join(sorted(names))}; if these are among them, "
        "the figures are too good: name the source, for instance --source waist=FOLDER,name="
        f"{min(names)}"
    )
