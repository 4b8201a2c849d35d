"""What is learned of how people move."""

import numpy as np
import pytest

from streamer.datasets.labelled_windows import LabelledWindows
from streamer.features import GRAVITY_FRAME, UCI_HAR, FeatureSet, express
from streamer.training.familiarity import KNOWN, fit_familiarity

pytest.importorskip("sklearn")

GATE = ("tBodyAccJerkMag-mean()", *(f"tGravityAcc-std()-{axis}" for axis in "XYZ"))


def invented(feature_set: FeatureSet, people: int, each: int = 130) -> LabelledWindows:
    """People who walk, each in a way of their own, and rest."""
    rng = np.random.default_rng(5)
    names = feature_set.names
    mixing = rng.normal(size=(30, len(names))) * 0.1
    features = rng.normal(size=(people * each * 2, 30)) @ mixing
    features += rng.normal(0, 0.05, features.shape)
    subjects = np.repeat([str(i) for i in range(people)], each * 2)
    truths = np.tile(np.repeat(["walking", "sitting"], each), people)
    for person in range(people):
        features[subjects == str(person)] += rng.normal(0, 0.02, len(names))
    for name, moving, resting in zip(GATE, (0.3, *[0.01] * 3), (0.01, *[0.01] * 3), strict=True):
        column = names.index(name)
        features[:, column] = np.where(
            truths == "walking",
            express(feature_set, name, moving),
            express(feature_set, name, resting),
        )
    zeros = np.zeros(len(truths), np.int64)
    return LabelledWindows(
        features,
        truths,
        subjects,
        subjects,
        zeros,
        zeros,
        np.full(len(truths), "waist"),
        feature_set,
    )


@pytest.mark.parametrize("feature_set", [UCI_HAR, GRAVITY_FRAME], ids=lambda each: each.name)
def test_people_in_the_training_data_are_familiar_others_are_strange_and_rest_does_not_count(
    feature_set: FeatureSet,
) -> None:
    windows = invented(feature_set, people=4)
    known = fit_familiarity(windows)
    assert known is not None
    walking = windows.truths == "walking"
    found = known.measure(windows.features)
    assert np.isnan(found[~walking]).all()
    assert (found[walking] <= 1).mean() >= KNOWN
    rng = np.random.default_rng(9)
    others = windows.features[walking] + rng.choice([-3, 3], len(feature_set.names))
    others[:, [feature_set.names.index(name) for name in GATE]] = windows.features[
        np.ix_(walking, [feature_set.names.index(name) for name in GATE])
    ]
    assert (known.measure(others) > 1).all()


def test_in_the_frame_of_gravity_direction_and_size_of_gravity_do_not_count() -> None:
    known = fit_familiarity(invented(GRAVITY_FRAME, people=3))
    assert known is not None
    names = [GRAVITY_FRAME.names[column] for column in known.columns]
    assert not [name for name in names if name.startswith(("gravityDirection", "tGravityAcc-me"))]
    published = fit_familiarity(invented(UCI_HAR, people=3))
    assert published is not None
    first = [UCI_HAR.names[column] for column in published.columns[:3]]
    assert first == [f"tGravityAcc-mean()-{axis}" for axis in "XYZ"]


def test_one_person_or_few_windows_are_not_enough_for_familiarity() -> None:
    assert fit_familiarity(invented(UCI_HAR, people=1)) is None
    assert fit_familiarity(invented(UCI_HAR, people=3, each=20)) is None
