import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.special import softmax

from streamer.arrays import Floats
from streamer.model.artifact import Model
from streamer.model.class_tree import ClassTree
from streamer.predict.local_predictor import LocalPredictor

NODES = (((0, 1), (2,), (3, 4, 5)), ((0,), (1,)), ((3,), (4,), (5,)))


@pytest.fixture(scope="module")
def features() -> Floats:
    return np.random.default_rng(3).uniform(-1, 1, (140, 561))


async def test_scores_are_products_of_the_probabilities_of_the_nodes(
    model: Model, features: Floats
) -> None:
    logits = np.clip(features, -0.9, 0.8) @ model.weights.T + model.bias
    expected = np.ones((len(features), 12))
    first = 0
    for node in model.card.nodes:
        last = first + len(node.outcomes) - 1
        shares = softmax(np.pad(logits[:, first:last], ((0, 0), (0, 1))), axis=1)
        for share, classes in zip(shares.T, node.outcomes, strict=True):
            expected[:, classes] *= share[:, None]
        first = last

    scores = (await LocalPredictor(model).predict(features)).scores
    np.testing.assert_allclose(scores, expected, rtol=1e-10)


def test_a_row_scores_the_same_to_the_last_bit_in_any_batch(model: Model, features: Floats) -> None:
    alone = np.concatenate([model.probabilities(row[None]) for row in features])

    for size in range(1, 71):
        for first in (0, 1, 69):
            batch = slice(first, first + size)
            np.testing.assert_array_equal(model.probabilities(features[batch]), alone[batch])


def test_the_layout_in_memory_does_not_matter(model: Model, features: Floats) -> None:
    expected = model.probabilities(features)

    np.testing.assert_array_equal(model.probabilities(np.asfortranarray(features)), expected)
    np.testing.assert_array_equal(model.probabilities(features[::-1]), expected[::-1])


def test_prediction_does_not_change_the_features(model: Model, features: Floats) -> None:
    before = features.copy()
    model.probabilities(features)
    np.testing.assert_array_equal(features, before)


async def test_no_windows_give_no_scores(model: Model) -> None:
    assert (await LocalPredictor(model).predict(np.zeros((0, 561)))).scores.shape == (0, 12)


async def test_a_prediction_says_which_model_made_it(model: Model, features: Floats) -> None:
    card = (await LocalPredictor(model).predict(features)).model

    assert (card.id, card.version) == ("invented", model.version)
    assert (card.labels[1], card.activities[1]) == ("WALKING_UPSTAIRS", "walking_upstairs")
    assert (card.labels[7], card.activities[7]) == ("SIT_TO_STAND", "sitting>standing")


def test_the_drift_reference_is_that_of_the_file(model: Model) -> None:
    profile = model.profile
    assert profile.deciles.shape == (561, 9)
    assert (profile.watched, len(profile.mix), len(profile.confidence)) == ((5, 3), 12, 10)


@given(hnp.arrays(np.float64, (3, 5), elements=st.floats(-1e300, 1e300)))
def test_logits_of_any_size_give_probabilities(logits: Floats) -> None:
    probabilities = ClassTree(NODES).probabilities(logits)

    assert np.isfinite(probabilities).all()
    assert (probabilities >= 0).all()
    np.testing.assert_allclose(probabilities.sum(axis=1), 1)


def test_a_node_has_one_logit_less_than_outcomes() -> None:
    division = ClassTree(NODES)
    logits = np.arange(5.0)[None]
    assert division.rows == 5
    assert division.select_logits(0, logits).tolist() == [[0, 1, 0]]
    assert division.select_logits(1, logits).tolist() == [[2, 0]]
    assert division.repeat_by_row([7, 8, 9]).tolist() == [7, 7, 8, 9, 9]


def test_an_outcome_with_several_logits_has_the_sum_of_their_probabilities() -> None:
    # walking at the waist, walking in the pocket | sitting
    tree = ClassTree([((0,), (1,))], [(0, 0, 1)])
    logits = np.array([[1.0, 2.0], [-30.0, 700.0]])

    walking, sitting = tree.probabilities(logits).T

    whole = np.exp([[1, 2, 0]]).sum()
    assert walking[0] == pytest.approx((np.exp(1) + np.exp(2)) / whole)
    np.testing.assert_allclose(walking + sitting, 1)
    assert tree.rows == 2
