"""Training of a model: checked and calibrated on people it has not seen, then fitted to all."""

from collections.abc import Callable

import numpy as np

from streamer.arrays import Floats, Ints
from streamer.datasets.class_names import classes_of, label_of_activity
from streamer.datasets.labelled_windows import UNLABELLED, LabelledWindows, in_natural_order
from streamer.errors import DataError
from streamer.model.artifact import DECILES, Model
from streamer.model.card import FEATURES, SHARES, Figures, ModelCard, Node, Training, Usual
from streamer.training.cross_validation import HeldOutScores, cross_validate
from streamer.training.judgement import Judgement, judge
from streamer.training.linear_classifiers import (
    ALGORITHMS,
    Algorithm,
    LinearClassifiers,
    class_positions,
    fit_classifiers,
    outcomes_of_classes,
)

WATCHED = 20
"""Features whose drift is worth watching."""
_ALIKE = 0.8
"""Features that correlate more than this say the same."""


def train(
    windows: LabelledWindows,
    model_id: str,
    algorithm: Algorithm = "tree",
    data: str = "recordings",
    seed: int = 0,
    report: Callable[[str], None] = lambda _: None,
) -> Model:
    """Train a model; the same windows give the same model.

    Args:
        windows: to learn from, with their varied copies.
        model_id: its name.
        algorithm: how to learn.
        data: what to say of where the windows come from.
        seed: by which they were cut and varied, for the card.
        report: is told the progress, a line at a time.

    Raises:
        DataError: there is too little to learn from.
        ModelError: what training needs is not installed.
    """
    activities = classes_of(windows.truths.tolist())
    if len(activities) < 2:
        raise DataError("to learn takes two activities that are labelled for a whole window")
    held = cross_validate(windows, activities, algorithm, report)
    judged = judge(held.windows, held.activities, held.scores)
    report("learning from all of them")
    labelled = windows.of(windows.truths != UNLABELLED)
    fitted = fit_classifiers(labelled, activities, algorithm)
    by_row = fitted.division.repeat_by_row(held.temperatures)
    originals = windows.of(windows.copies == 0)
    card = ModelCard(
        id=model_id,
        feature_set=FEATURES,
        labels=tuple(map(label_of_activity, activities)),
        activities=activities,
        nodes=tuple(map(Node, fitted.division.nodes, held.temperatures)),
        training=Training(
            algorithm=ALGORITHMS[algorithm],
            data=data,
            seed=seed,
            subjects=tuple(in_natural_order(windows.subjects.tolist())),
            windows=int((originals.truths != UNLABELLED).sum()),
            copies=int(windows.copies.max()),
            judged=figures_of(judged, held),
        ),
        usual=_usual(labelled, fitted, held),
    )
    return Model(
        card,
        fitted.low,
        fitted.high,
        fitted.weights / by_row[:, None],
        fitted.bias / by_row,
        deciles=np.quantile(originals.features, np.arange(1, DECILES + 1) / 10, axis=0).T,
    )


def figures_of(judged: Judgement, held: HeldOutScores) -> Figures:
    """The figures of a card."""
    compute_auroc = judged.movement_auroc
    return Figures(
        folds=int(held.folds.max()) + 1,
        macro_f1=round(judged.window.macro_f1, 4),
        smoothed_macro_f1=None if judged.smoothed is None else round(judged.smoothed.macro_f1, 4),
        calibration_error=round(judged.calibration_error, 4),
        movement_auroc=None if compute_auroc is None else round(compute_auroc, 4),
    )


def _usual(labelled: LabelledWindows, fitted: LinearClassifiers, held: HeldOutScores) -> Usual:
    """What live windows are compared with."""
    best = np.bincount(held.scores.argmax(axis=1), minlength=len(held.activities))
    confidence, _ = np.histogram(held.scores.max(axis=1), SHARES, (0, 1))
    return Usual(
        watched=_watched(labelled.of(labelled.copies == 0), fitted, held.activities),
        mix=tuple((best / len(held.scores)).round(6).tolist()),
        confidence=tuple((confidence / len(held.scores)).round(6).tolist()),
    )


def _watched(
    windows: LabelledWindows, fitted: LinearClassifiers, activities: tuple[str, ...]
) -> tuple[int, ...]:
    """Features that tell some node's outcomes apart best, none that says the same as another.

    The nodes take turns, each with its best feature that is left.
    """
    classes = class_positions(windows.truths, activities)
    rankings = []
    for outcomes in fitted.division.nodes:
        which = outcomes_of_classes(classes, outcomes)
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
    """How much of each feature's variance lies between outcomes rather than within them."""
    groups = [features[which == i] for i in np.unique(which)]
    within = sum(len(group) * group.var(axis=0) for group in groups) / len(features)
    whole = features.var(axis=0)
    between: Floats = 1 - within / np.where(whole, whole, np.inf)
    return between
