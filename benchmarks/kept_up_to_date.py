"""Simulated drift: a new group of people, feedback on half of their windows, three updates.

    STREAMER_HAR_DIR=... STREAMER_DEVICES_DIR=... python benchmarks/kept_up_to_date.py

The first model has learned from people with a phone at the waist. Then a new group comes, with
another phone in a trouser pocket. People of the group give feedback on half of their windows, a
third of these before each update. Every update does what `streamer model update` does: it learns,
judges old and new, and promotes or not. Three figures are printed after each update, all of them
smoothed macro-F1:

- people who give feedback, on the windows without feedback;
- people of the new group who give none;
- people at the waist from whom no model has learned.

`benchmarks/public_recordings.py` says which files the two folders have. It takes some minutes.
"""

import sys
from dataclasses import replace
from pathlib import Path

import click
import msgspec
import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.public_recordings import read_pocket, read_waist
from streamer.arrays import Bools
from streamer.datasets.labelled_windows import (
    UNLABELLED,
    LabelledWindows,
    cut_recordings,
    sort_naturally,
)
from streamer.features import GRAVITY_FRAME
from streamer.model.artifact import Model
from streamer.training.classification_scores import ConfusionMatrix
from streamer.training.fine_tuning import fine_tune
from streamer.training.judgement import judge
from streamer.training.learned_windows import AS_WORN, add_windows
from streamer.training.train import train
from streamer.training.updating import judge_update
from streamer.training.variation import IN_ANY_ORIENTATION, make_copies

UPDATES = 3
GIVING = 8
"""People of the new group who give feedback."""
GAIN, COST = 0.05, 0.01


@click.command
@click.option("--seed", default=0, show_default=True)
def main(seed: int) -> None:
    """Print a JSON line after each update. Exit code 1 if the gain or the cost is missed."""
    waist = list(read_waist())
    people = sort_naturally(each.subject for each in waist)
    unseen = set(people[::3])
    learned = cut_recordings(
        [each for each in waist if each.subject not in unseen],
        make_copies=lambda each, rng: make_copies(each, rng, IN_ANY_ORIENTATION[1:3]),
        feature_set=GRAVITY_FRAME,
    )
    model = train(learned, "drifting", "tree")
    old = learned.of(learned.copies == 0)
    known = cut_recordings(
        [each for each in waist if each.subject in unseen], feature_set=GRAVITY_FRAME
    )
    group = cut_recordings(read_pocket(), feature_set=GRAVITY_FRAME)
    # The first model does not know jogging, and an update cannot teach it.
    group = group.of(group.truths != "jogging")
    group = replace(group, places=np.full(len(group), AS_WORN))
    giving = np.isin(group.subjects, sort_naturally(group.subjects.tolist())[:GIVING])
    givers, others = group.of(giving), group.of(~giving)
    draw = np.random.default_rng(seed).random(len(givers))
    # Half of the windows get feedback, a third of these before each update.
    turn = np.where(draw < 0.5, (draw * 2 * UPDATES).astype(int), UPDATES)
    silent = turn == UPDATES

    def show(number: int, **more: object) -> tuple[float, float, float]:
        figures = (
            smoothed_f1(model, givers, silent),
            smoothed_f1(model, others, np.ones(len(others), bool)),
            smoothed_f1(model, known, np.ones(len(known), bool)),
        )
        names = ("with_feedback", "without_feedback", "known_before")
        line = {"benchmark": "kept_up_to_date", "update": number}
        line |= {name: round(value, 4) for name, value in zip(names, figures, strict=True)}
        click.echo(msgspec.json.encode(line | more).decode())
        return figures

    first = last = show(0)
    for number in range(UPDATES):
        new = replace(givers, truths=np.where(turn == number, givers.truths, UNLABELLED))
        verdict = judge_update(model, new, old)
        labelled = new.of(new.truths != UNLABELLED)
        if not verdict.against:
            model = fine_tune(model, labelled, old, model.card.id)
            old = add_windows(old, labelled)
        last = show(
            number + 1,
            windows=len(labelled),
            promoted=not verdict.against,
            against=verdict.against,
            judged_gain=round(verdict.new_people.gain, 4),
            judged_cost=round(-verdict.known_people.gain, 4),
            p=round(verdict.chance, 4),
        )
    if min(last[0] - first[0], last[1] - first[1]) < GAIN or first[2] - last[2] >= COST:
        sys.exit(1)


def smoothed_f1(model: Model, windows: LabelledWindows, rows: Bools) -> float:
    """Return the smoothed macro-F1 of a model on windows at these rows, each after those before."""
    judgement = judge(windows, model.card.activities, model.probabilities(windows.features))
    labels = judgement.smoothed_labels
    assert labels is not None
    rows = rows & judgement.within_activity
    return ConfusionMatrix.of(windows.truths[rows].tolist(), labels[rows].tolist()).macro_f1


if __name__ == "__main__":
    main()
