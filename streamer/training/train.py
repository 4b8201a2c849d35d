"""Trains a model: calibrates and judges it on people left out, then fits it to all people."""

import msgspec
import numpy as np

from streamer.arrays import Floats, Ints
from streamer.contracts.events import FeatureSetVersion
from streamer.datasets.class_names import label_of_activity, order_classes
from streamer.datasets.labelled_windows import UNLABELLED, LabelledWindows, sort_naturally
from streamer.datasets.progress import ReportProgress, ignore_progress
from streamer.errors import DataError
from streamer.model.artifact import DECILES, Model
from streamer.model.card import SHARES, Figures, ModelCard, Node, Training, Usual
from streamer.training.boosting import describe_boosting, scale_trees
from streamer.training.classifiers import Classifiers, fit_classifiers
from streamer.training.cross_validation import HeldOutScores, cross_validate
from streamer.training.familiarity import fit_familiarity
from streamer.training.judgement import Judgement, judge
from streamer.training.linear_classifiers import (
    ALGORITHMS,
    Algorithm,
    find_outcomes,
    find_positions,
)

WATCHED = 20
"""Number of features whose drift is watched."""
_ALIKE = 0.8
"""Of two features that correlate more than this, one is enough."""


def train(
    windows: LabelledWindows,
    model_id: str,
    algorithm: Algorithm = "tree",
    data: str = "recordings",
    seed: int = 0,
    report: ReportProgress = ignore_progress,
) -> Model:
    """Train a model. The same windows give the same model, byte for byte.

    Args:
        windows: the windows to learn from, with varied copies.
        model_id: the name of the model.
        algorithm: how to learn.
        data: description of the source of the windows, for the card.
        seed: with which the windows were cut and varied, for the card.
        report: called when a part of the work is done.

    Raises:
        DataError: there is too little to learn from.
        ModelError: what training needs is not installed.
    """
    activities = order_classes(windows.truths.tolist())
    if len(activities) < 2:
        raise DataError(
            "training needs windows of at least two activities, each labelled for a whole window"
        )
    held_out = cross_validate(windows, activities, algorithm, report)
    judgement = judge(held_out.windows, held_out.activities, held_out.scores)
    is_labelled = windows.truths != UNLABELLED
    fitted = fit_classifiers(windows, is_labelled, activities, algorithm)
    report("fitting to all users", 1, 1)
    calibration = held_out.calibration
    by_row = fitted.division.repeat_by_row(calibration.temperatures)
    originals = windows.of(windows.copies == 0)
    card = ModelCard(
        id=model_id,
        feature_set=FeatureSetVersion(windows.feature_set.name, windows.feature_set.version),
        labels=tuple(map(label_of_activity, activities)),
        activities=activities,
        nodes=tuple(
            map(
                Node,
                fitted.division.nodes,
                calibration.temperatures,
                fitted.division.outcome_of_logit,
            )
        ),
        training=Training(
            algorithm=ALGORITHMS[algorithm],
            data=data,
            seed=seed,
            subjects=tuple(sort_naturally(windows.subjects.tolist())),
            windows=int((originals.truths != UNLABELLED).sum()),
            copies=int(windows.copies.max()),
            judged=summarize(judgement, held_out),
        ),
        usual=_describe_usual(originals, fitted, held_out),
        places=tuple(place for place in np.unique(windows.places).tolist() if place),
        boosting=msgspec.UNSET
        if fitted.trees is None
        else describe_boosting(fitted.division, activities, calibration.factors),
    )
    return Model(
        card,
        fitted.linear.low,
        fitted.linear.high,
        fitted.linear.weights / by_row[:, None],
        fitted.linear.bias / by_row,
        deciles=np.quantile(originals.features, np.arange(1, DECILES + 1) / 10, axis=0).T,
        familiarity=fit_familiarity(originals),
        trees=None
        if fitted.trees is None
        else scale_trees(fitted.trees, fitted.division.repeat_by_outcome(calibration.factors)),
    )


def summarize(judgement: Judgement, held_out: HeldOutScores) -> Figures:
    """Return the figures for the model card."""
    auroc = judgement.movement_auroc
    return Figures(
        folds=int(held_out.folds.max()) + 1,
        macro_f1=round(judgement.window_confusion.macro_f1, 4),
        smoothed_macro_f1=None
        if judgement.smoothed_confusion is None
        else round(judgement.smoothed_confusion.macro_f1, 4),
        calibration_error=round(judgement.calibration_error, 4),
        movement_auroc=None if auroc is None else round(auroc, 4),
    )


def _describe_usual(
    originals: LabelledWindows, fitted: Classifiers, held_out: HeldOutScores
) -> Usual:
    """Return the profile with which the worker compares live windows."""
    best = np.bincount(held_out.scores.argmax(axis=1), minlength=len(held_out.activities))
    confidence, _ = np.histogram(held_out.scores.max(axis=1), SHARES, (0, 1))
    return Usual(
        watched=_choose_watched(
            originals.of(originals.truths != UNLABELLED), fitted, held_out.activities
        ),
        mix=tuple((best / len(held_out.scores)).round(6).tolist()),
        confidence=tuple((confidence / len(held_out.scores)).round(6).tolist()),
    )


def _choose_watched(
    windows: LabelledWindows, fitted: Classifiers, activities: tuple[str, ...]
) -> tuple[int, ...]:
    """Choose the features whose drift is watched: those that separate the outcomes of nodes best.

    The nodes take turns. Each adds its best feature that correlates with none chosen before.
    """
    classes = find_positions(windows.truths, activities)
    rankings = []
    for outcomes in fitted.division.nodes:
        which = find_outcomes(classes, outcomes)
        rankings.append(np.argsort(-_separation(windows.features[which >= 0], which[which >= 0])))
    spread = windows.features.std(axis=0)
    standard = (windows.features - windows.features.mean(axis=0)) / np.where(spread, spread, 1)
    chosen: list[int] = []
    for turn in range(WATCHED):
        for feature in rankings[turn % len(rankings)].tolist():
            others = standard[:, chosen]
            alike = np.abs(standard[:, feature] @ others) / len(standard)
            if not (alike > _ALIKE).any() and feature not in chosen:
                chosen.append(feature)
                break
    return tuple(chosen)


def _separation(features: Floats, which: Ints) -> Floats:
    """Return the share (features,) of each feature's variance that lies between the outcomes."""
    groups = [features[which == i] for i in np.unique(which)]
    within = sum(len(group) * group.var(axis=0) for group in groups) / len(features)
    whole = features.var(axis=0)
    between: Floats = 1 - within / np.where(whole, whole, np.inf)
    return between
