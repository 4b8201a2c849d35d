"""Measures which devices a model finds unfamiliar, and how it labels a device of another kind.

    STREAMER_HAR_DIR=... STREAMER_DEVICES_DIR=... python benchmarks/familiarity.py

*left out*: each person at a known place, by what was learned from the other people. *shipped*: the
model files of the package, by devices at places or of a kind that they have not learned. Each
recording is a device. `withheld` counts the windows that are published as `unknown` because the
device is unfamiliar, `found` the recordings that become unfamiliar within 60 s of steady movement.
The table of the board (SisFall) has the share of windows with the right smoothed label; on stairs
it is that of any label of stairs. It takes some minutes.
"""

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.figures import Figure, report
from benchmarks.public_recordings import read_board, read_pocket, read_waist
from streamer.arrays import Bools, Floats
from streamer.contracts.activities import GAITS
from streamer.datasets.labelled_windows import UNLABELLED, LabelledWindows, cut_recordings
from streamer.datasets.recording import Recording
from streamer.features import GRAVITY_FRAME
from streamer.features.window_shape import WINDOW
from streamer.labels.familiarity import START, is_unfamiliar, update
from streamer.model import artifact
from streamer.training.familiarity import fit_familiarity
from streamer.training.judgement import judge, slice_recordings

WITHIN_WINDOWS = int(60e6 / WINDOW.hop_us)
RIGHT = {
    "walking": ("walking",),
    "jogging": ("jogging",),
    "stairs": ("walking_upstairs", "walking_downstairs"),
}
"""Right labels by the first word of the activity of the board."""


def main() -> None:
    """Print a JSON line for each figure, and tables."""
    waist, pocket, board = list(read_waist()), list(read_pocket()), list(read_board())
    learned = cut_recordings(waist)
    report([figure("waist", "left out", "waist", learned, measure_left_out(learned))])
    learned = cut_recordings([*waist, *pocket], feature_set=GRAVITY_FRAME)
    strangeness = measure_left_out(learned)
    report(
        [
            figure("har", "left out", place, learned.of(rows), strangeness[rows])
            for place in ("waist", "pocket")
            if (rows := learned.places == place) is not None
        ]
    )
    report(list(judge_shipped("waist", "pocket", pocket)))
    report(list(judge_shipped("waist", "board", board)))
    report(list(judge_shipped("har", "board", board)))
    report(list(judge_labels(board)))


def measure_left_out(windows: LabelledWindows) -> Floats:
    """Return the strangeness (n,) of windows, each by what was learned from the other people."""
    strangeness = np.empty(len(windows))
    for person in np.unique(windows.subjects):
        own = windows.subjects == person
        fitted = fit_familiarity(windows.of(~own))
        assert fitted is not None
        strangeness[own] = fitted.measure(windows.features[own])
    return strangeness


def judge_shipped(name: str, device: str, recordings: Sequence[Recording]) -> Iterator[Figure]:
    """Yield the figures of a model of the package for each activity with steps."""
    model = artifact.load(artifact.NAMED[name])
    assert model.familiarity is not None
    windows = cut_recordings(recordings, feature_set=model.feature_set)
    strangeness = model.familiarity.measure(windows.features)
    moving = np.array([_has_steps(truth) for truth in windows.truths.tolist()])
    yield figure(name, "shipped", device, windows.of(moving), strangeness[moving])
    for activity in np.unique(windows.truths[moving]).tolist():
        rows = windows.truths == activity
        yield figure(name, "shipped", f"{device}, {activity}", windows.of(rows), strangeness[rows])


def _has_steps(truth: str) -> bool:
    return truth in GAITS or truth.partition(" ")[0] in RIGHT


def figure(
    model: str, way: str, device: str, windows: LabelledWindows, strangeness: Floats
) -> Figure:
    """Follow the familiarity through each recording, as the worker does."""
    withheld, found = np.zeros(len(windows), bool), []
    recordings = slice_recordings(windows)
    for rows in recordings:
        withheld[rows] = follow(strangeness[rows])
        steady = np.cumsum(~np.isnan(strangeness[rows]))
        found.append(bool((withheld[rows] & (steady <= WITHIN_WINDOWS)).any()))
    labelled = windows.truths != UNLABELLED
    return {
        "model": model,
        "measured": way,
        "device": device,
        "windows": int(labelled.sum()),
        "withheld": int((withheld & labelled).sum()),
        "withheld_share": round(float(withheld[labelled].mean()), 4),
        "recordings": len(recordings),
        "found": sum(found),
    }


def follow(strangeness: Floats) -> Bools:
    """Return whether a device is unfamiliar after each window (n,)."""
    familiarity, unfamiliar = START, []
    for each in strangeness.tolist():
        familiarity = update(familiarity, each)
        unfamiliar.append(is_unfamiliar(familiarity))
    return np.array(unfamiliar, bool)


def judge_labels(board: Sequence[Recording]) -> Iterator[Figure]:
    """Yield how the default model labels each activity of the board."""
    model = artifact.load()
    windows = cut_recordings(board, feature_set=model.feature_set)
    judged = judge(windows, model.card.activities, model.probabilities(windows.features))
    assert judged.smoothed_labels is not None
    for activity in np.unique(windows.truths).tolist():
        if activity == UNLABELLED:
            continue
        rows = windows.truths == activity
        right = RIGHT[activity.partition(" ")[0]]
        yield {
            "model": "har",
            "device": "board",
            "activity": activity,
            "windows": int(rows.sum()),
            "right": round(float(np.isin(judged.predicted[rows], right).mean()), 3),
            "right_smoothed": round(float(np.isin(judged.smoothed_labels[rows], right).mean()), 3),
            "called_laying": int((judged.smoothed_labels[rows] == "laying").sum()),
        }


if __name__ == "__main__":
    main()
