"""The shipped models recognize synthetic people, whose phones are at the waist."""

from collections import Counter
from pathlib import Path

import pytest

from streamer.arrays import Ints
from streamer.contracts.activities import UNKNOWN
from streamer.contracts.readings import Record
from streamer.features.window_shape import WINDOW
from streamer.model import artifact
from streamer.predict.local_predictor import LocalPredictor
from streamer.publishing.motions import MOTIONS
from streamer.publishing.people import RATE_HZ, Person
from streamer.testing import START_MS, readings, run_script

PEOPLE, SECONDS = 16, 240
NAMES = [str(activity) for activity in MOTIONS]
LENGTH, STEP_MS = WINDOW.length, WINDOW.step_us // 1000


@pytest.mark.parametrize(
    ("model", "least_right", "least_right_of_each", "least_unknown"),
    [
        # The default model knows trouser pockets too, and synthetic people are made for the waist.
        (artifact.DEFAULT_MODEL, 0.95, 0.75, 0.4),
        (artifact.WAIST_MODEL, 0.95, 0.85, 0.5),
    ],
    ids=["default", "waist"],
)
async def test_labels_of_synthetic_people_are_right_and_their_movements_are_unknown(
    model: Path, least_right: float, least_right_of_each: float, least_unknown: float
) -> None:
    truths: dict[str, Ints] = {}
    records: list[Record] = []
    for seed in range(PEOPLE):
        samples, truth = Person(seed).take(SECONDS * RATE_HZ)
        truths[f"person-{seed}"] = truth
        records += readings(f"person-{seed}", samples)
    records.sort(key=lambda record: record.timestamp)
    predictor = LocalPredictor(artifact.load(model))
    published = await run_script(records, predictor=predictor)

    right: dict[str, list[bool]] = {name: [] for name in NAMES}
    moving: Counter[str] = Counter()
    for event in published.events:
        first = -(-(event.window_start - START_MS) // STEP_MS)
        during = truths[event.device_id][first : first + LENGTH]
        if during.min() == during.max() and 1 <= during[0] <= len(NAMES):
            activity = NAMES[during[0] - 1]
            right[activity].append(event.activity == activity)
        elif (during > len(NAMES)).sum() >= LENGTH // 2:
            moving[event.activity] += 1

    cases = [case for of_one in right.values() for case in of_one]
    assert sum(cases) / len(cases) >= least_right
    shares = {name: sum(of_one) / len(of_one) for name, of_one in right.items()}
    assert min(shares.values()) >= least_right_of_each, shares
    assert moving[UNKNOWN] >= least_unknown * moving.total()
