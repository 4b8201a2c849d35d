import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from streamer.arrays import Floats, Ints
from streamer.model.boosted_trees import UNIT, BoostedTrees


def make_trees(depth: int, trees: int, seed: int, features: int = 20) -> BoostedTrees:
    """Invented trees for three outcomes, of which the second one has no trees."""
    rng = np.random.default_rng(seed)
    splits = 2**depth - 1
    return BoostedTrees(
        rng.integers(0, features, (trees, splits)).astype(np.uint16),
        rng.normal(size=(trees, splits)).astype(np.float32),
        rng.integers(-(2**15), 2**15, (trees, splits + 1)).astype(np.int16),
        np.arange(trees) % 2 * 2,
        width=3,
    )


def values_plainly(trees: BoostedTrees, features: Floats) -> Floats:
    """What trees compute, level by level for all windows and trees at once."""
    windows, each = np.arange(len(features))[:, None], np.arange(len(trees.features))
    splits = trees.features.shape[1]
    at: Ints = np.zeros((len(features), len(trees.features)), np.int64)
    while splits and at.min() < splits:
        greater = features[windows, trees.features[each, at]] > trees.thresholds[each, at]
        at = 2 * at + 1 + greater
    leaves = trees.leaves[each, at - splits].astype(np.float64)
    values = np.zeros((len(features), trees.width))
    for outcome in range(trees.width):
        values[:, outcome] = leaves[:, trees.outcomes == outcome].sum(axis=1)
    return values * UNIT


@settings(deadline=None)
@given(st.integers(1, 6), st.integers(1, 40), st.integers(0, 2**32 - 1))
def test_compiled_trees_give_the_bits_of_their_plain_statement(
    depth: int, count: int, seed: int
) -> None:
    trees = make_trees(depth, count, seed)
    features = np.random.default_rng(seed).normal(size=(9, 20))

    np.testing.assert_array_equal(trees.values(features), values_plainly(trees, features))


def test_a_window_has_the_same_values_in_any_batch_and_layout() -> None:
    trees = make_trees(4, 50, 1)
    features = np.random.default_rng(2).normal(size=(40, 20))
    alone = np.concatenate([trees.values(row[None]) for row in features])

    for size in (1, 2, 7, 40):
        np.testing.assert_array_equal(trees.values(features[:size]), alone[:size])
    np.testing.assert_array_equal(trees.values(np.asfortranarray(features)), alone)
    np.testing.assert_array_equal(trees.values(features[::-1]), alone[::-1])
    assert trees.values(features[:0]).shape == (0, 3)


def test_a_feature_that_equals_the_threshold_goes_to_the_first_branch() -> None:
    trees = BoostedTrees(
        np.array([[1]], np.uint16),
        np.array([[0.5]], np.float32),
        np.array([[1, 2]], np.int16),
        np.array([0]),
        width=1,
    )
    features = np.array([[9, 0.5], [9, np.nextafter(0.5, 1)]])

    assert (trees.values(features) / UNIT).tolist() == [[1], [2]]


def test_outcomes_without_trees_have_the_value_zero() -> None:
    values = make_trees(2, 6, 3).values(np.ones((2, 20)))

    assert (values[:, 1] == 0).all()
    assert (values[:, [0, 2]] != 0).all()
