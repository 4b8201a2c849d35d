"""Adapts a model to one person by recordings of theirs.

A shift is added to the logarithm of the score of each activity that the person has shown. The
shifts maximise the likelihood of the person's windows, with a penalty that keeps them small: ten
minutes are few, and the model should stay good for others. Whoever moves as others do gets almost
none. Activities that the person has not shown, and movements, keep their scores.
"""

from typing import Final

import msgspec
import numpy as np
from scipy.optimize import minimize
from scipy.special import log_softmax

from streamer.arrays import Bools, Floats, Strings
from streamer.contracts.activities import is_movement
from streamer.contracts.events import ModelVersion
from streamer.datasets.labelled_windows import LabelledWindows, sort_naturally
from streamer.errors import DataError
from streamer.model.adapted_scores import shift_scores
from streamer.model.artifact import Model
from streamer.model.card import Adaptation
from streamer.training.classification_scores import ConfusionMatrix

PENALTY: Final = 0.1
"""Weight of the squares of the shifts, against the mean loss of a window."""
LEAST_WINDOWS: Final = 10
"""An activity of which there are fewer windows gets no shift."""
_FLOOR: Final = 1e-4
_DECIMALS: Final = 6


def adapt(model: Model, windows: LabelledWindows, model_id: str) -> Model:
    """Return a model that is adapted to the people of these windows.

    Args:
        model: the parent.
        windows: of the features that the model takes.
        model_id: the name of the new model.

    Raises:
        DataError: the windows show fewer than two of the model's activities, or the parent is
            itself adapted.
    """
    card = model.card
    if card.adapted is not msgspec.UNSET:
        raise DataError(
            f"{card.id} is already adapted; adapt its parent {card.adapted.parent.id} by all "
            "recordings of the person"
        )
    shifts = fit_shifts(model.probabilities(windows.features), windows.truths, card.activities)
    adapted = Adaptation(
        parent=ModelVersion(card.id, model.version),
        subjects=tuple(sort_naturally(windows.subjects.tolist())),
        windows=int(np.isin(windows.truths, _list_activities(card.activities)).sum()),
        shifts=shifts,
    )
    card = msgspec.structs.replace(card, id=model_id, adapted=adapted)
    return Model(
        card,
        model.low,
        model.high,
        model.weights,
        model.bias,
        model.deciles,
        trees=model.trees,
        familiarity=model.familiarity,
    )


def fit_shifts(scores: Floats, truths: Strings, activities: tuple[str, ...]) -> tuple[float, ...]:
    """Return the shift of each class; 0 for those without enough windows.

    Args:
        scores: (n, classes) of windows.
        truths: (n,), their activities.
        activities: of the classes.

    Raises:
        DataError: fewer than two activities have enough windows.
    """
    shown = [
        column
        for column, activity in enumerate(activities)
        if not is_movement(activity) and (truths == activity).sum() >= LEAST_WINDOWS
    ]
    if len(shown) < 2:
        raise DataError(
            f"the recordings show fewer than two activities of the model in {LEAST_WINDOWS} or "
            "more windows; record more of them"
        )
    names = np.array(activities)[shown]
    rows = np.isin(truths, names)
    logs = np.log(np.maximum(scores[rows][:, shown], _FLOOR))
    is_true = truths[rows][:, None] == names

    def loss(shifts: Floats) -> tuple[float, Floats]:
        likelihoods = log_softmax(logs + shifts, axis=1)
        value = PENALTY * (shifts**2).sum() - likelihoods[is_true].mean()
        slope = (np.exp(likelihoods) - is_true).mean(axis=0) + 2 * PENALTY * shifts
        return float(value), slope

    found = np.zeros(len(activities))
    found[shown] = minimize(loss, np.zeros(len(shown)), jac=True, method="L-BFGS-B").x
    # The last bits of the search must not become part of the model.
    return tuple(found.round(_DECIMALS).tolist())


def judge_adaptation(model: Model, windows: LabelledWindows) -> tuple[float, float] | None:
    """Judge adapting to these windows: learn from every other recording, judge by the others.

    Returns:
        The macro-F1 of one window before and after, over both halves; None if a half has too
        little to learn from.
    """
    activities = _list_activities(model.card.activities)
    names = sort_naturally(windows.recordings.tolist())
    half = np.isin(windows.recordings, names[::2])
    before = model.probabilities(windows.features)
    after = before.copy()
    for learned in (half, ~half):
        try:
            shifts = fit_shifts(before[learned], windows.truths[learned], model.card.activities)
        except DataError:
            return None
        after[~learned] = shift_scores(before[~learned], np.array(shifts))
    rows = np.isin(windows.truths, activities)
    return tuple(  # type: ignore[return-value]
        _score(scores, windows.truths, model.card.activities, rows) for scores in (before, after)
    )


def _score(scores: Floats, truths: Strings, activities: tuple[str, ...], rows: Bools) -> float:
    columns = [i for i, name in enumerate(activities) if not is_movement(name)]
    said = np.array(activities)[columns][scores[rows][:, columns].argmax(axis=1)]
    return ConfusionMatrix.of(truths[rows].tolist(), said.tolist()).macro_f1


def _list_activities(activities: tuple[str, ...]) -> list[str]:
    return [name for name in activities if not is_movement(name)]
