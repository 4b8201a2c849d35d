from pathlib import Path

import numpy as np
import pytest

from streamer.datasets.labelled_windows import UNLABELLED, LabelledWindows
from streamer.model import artifact
from streamer.training.boosting import fit_trees
from streamer.training.linear_classifiers import divide_for, find_outcomes, find_positions
from streamer.training.train import train

lightgbm = pytest.importorskip("lightgbm")

CLASSES = ("walking", "walking_upstairs", "walking_downstairs", "sitting", "standing", "laying")


def test_trees_have_the_values_that_lightgbm_predicts(windows: LabelledWindows) -> None:
    some = windows.of(np.isin(windows.truths, CLASSES[:3]))
    every = np.ones(len(some), bool)
    division = divide_for("blend", CLASSES[:3], some, every)
    boosters = []

    def spy(*arguments: object) -> object:
        boosters.append(learn(*arguments))
        return boosters[-1]

    learn = lightgbm.train
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lightgbm, "train", spy)
        trees = fit_trees(some, every, CLASSES[:3], division)

    assert trees is not None
    expected = boosters[0].predict(some.features, raw_score=True)
    # Leaves are rounded, each by at most half a unit.
    np.testing.assert_allclose(trees.values(some.features), expected, atol=80 * 2**-13)


def test_nodes_of_movements_of_groups_and_of_postures_have_no_trees(
    windows: LabelledWindows,
) -> None:
    labelled = windows.truths != UNLABELLED
    activities = (*CLASSES, "sitting>standing")
    division = divide_for("blend", activities, windows, labelled)

    trees = fit_trees(windows, labelled, activities, division)

    assert trees is not None
    values = trees.values(windows.features)
    first = 0
    for outcomes in division.nodes:
        own = values[:, first : first + len(outcomes)]
        if outcomes == ((0,), (1,), (2,)):  # the three ways of walking
            which = find_outcomes(find_positions(windows.truths, activities), outcomes)
            inside = labelled & (which >= 0)
            assert (own[inside].argmax(axis=1) == which[inside]).mean() > 0.9
        else:
            assert (own == 0).all()
        first += len(outcomes)


def test_a_model_with_trees_is_saved_and_loaded(windows: LabelledWindows, tmp_path: Path) -> None:
    model = train(windows, "invented", "blend")
    artifact.save(tmp_path / "model.npz", model)
    loaded = artifact.load(tmp_path / "model.npz")

    assert loaded.version == model.version
    assert loaded.trees is not None
    np.testing.assert_array_equal(
        loaded.probabilities(windows.features), model.probabilities(windows.features)
    )
