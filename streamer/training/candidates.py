"""Models and ways to learn, judged by the same windows."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from streamer.datasets.class_names import classes_of
from streamer.errors import DataError
from streamer.model import artifact
from streamer.model.artifact import Model
from streamer.training.cross_validation import cross_validate
from streamer.training.judgement import Judgement, judge
from streamer.training.linear_classifiers import ALGORITHMS, Algorithm
from streamer.training.training_windows import read_training_windows
from streamer.training.variation import COPIES


def judge_candidates(
    candidates: Sequence[str],
    source: Path,
    taking: dict[str, Any],
    report: Callable[[str], None] = lambda _: None,
) -> dict[str, Judgement]:
    """Judge each candidate by the recordings of a source as they are.

    Args:
        candidates: algorithms, which are cross-validated on the same folds, or paths of models.
        source: see `windows_from`.
        taking: its other arguments, but for the number of copies.
        report: is told the progress, a line at a time.

    Raises:
        DataError: the source is malformed, or has none of a model's activities.
        ModelError: a model cannot be used.
    """
    learning: dict[str, Algorithm] = {name: name for name in ALGORITHMS if name in candidates}
    models = {name: artifact.load(Path(name)) for name in candidates if name not in learning}
    copies = len(COPIES) if learning else 0
    windows, _ = read_training_windows(source, copies=copies, report=report, **taking)
    originals = windows.of(windows.copies == 0)
    found = {}
    for name in candidates:
        if name in learning:
            activities = classes_of(windows.truths.tolist())
            held = cross_validate(windows, activities, learning[name], report)
            found[name] = judge(held.windows, held.activities, held.scores)
        else:
            card = models[name].card
            scores = models[name].probabilities(originals.features)
            found[name] = judge(originals, card.activities, scores)
        if not found[name].counted.any():
            raise DataError(f"{source} has no window wholly within an activity that {name} knows")
    return found


def users_learned_from(model: Model, judged: Judgement) -> list[str]:
    """Whom a model has learned from, of those whom it is judged by, if they are the same people."""
    return [user for user in judged.subjects if user in model.card.training.subjects]
