from time import perf_counter

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.special import softmax as scipy_softmax

from streamer.model.artifact import LinearModel
from streamer.predict.local import LocalPredictor, softmax

Floats = npt.NDArray[np.float64]


@pytest.fixture(scope="module")
def features() -> Floats:
    return np.random.default_rng(3).uniform(-1, 1, (140, 561))


async def scores(model: LinearModel, features: Floats) -> Floats:
    return (await LocalPredictor(model).predict(features)).scores


async def test_scores_are_the_softmax_of_the_linear_model(
    model: LinearModel, features: Floats
) -> None:
    expected = scipy_softmax(features @ model.weights.T + model.bias, axis=1)

    np.testing.assert_allclose(await scores(model, features), expected, rtol=1e-11)


async def test_a_row_scores_the_same_to_the_last_bit_in_any_batch(
    model: LinearModel, features: Floats
) -> None:
    alone = np.concatenate([await scores(model, row[None]) for row in features])

    for size in range(1, 71):
        for first in (0, 1, 69):
            batch = slice(first, first + size)
            np.testing.assert_array_equal(await scores(model, features[batch]), alone[batch])


async def test_the_layout_in_memory_does_not_matter(model: LinearModel, features: Floats) -> None:
    expected = await scores(model, features)

    np.testing.assert_array_equal(await scores(model, np.asfortranarray(features)), expected)
    np.testing.assert_array_equal(await scores(model, features[::-1]), expected[::-1])


async def test_no_windows_give_no_scores(model: LinearModel) -> None:
    assert (await scores(model, np.zeros((0, 561)))).shape == (0, 6)


async def test_a_prediction_says_which_model_made_it(model: LinearModel, features: Floats) -> None:
    card = (await LocalPredictor(model).predict(features)).model

    assert (card.id, card.version) == ("invented", model.version)
    assert card.labels[1] == "WALKING_UPSTAIRS"
    assert card.activities[1] == "walking_upstairs"


@given(hnp.arrays(np.float64, (3, 6), elements=st.floats(-1e300, 1e300)))
def test_logits_of_any_size_give_probabilities(logits: Floats) -> None:
    probabilities = softmax(logits)

    assert np.isfinite(probabilities).all()
    assert (probabilities >= 0).all()
    np.testing.assert_allclose(probabilities.sum(axis=1), 1)
    rows = np.arange(3)
    np.testing.assert_array_equal(
        probabilities[rows, logits.argmax(axis=1)], probabilities.max(axis=1)
    )


async def test_a_core_scores_hundreds_of_thousands_of_windows_a_second(
    model: LinearModel, features: Floats
) -> None:
    predictor, batch = LocalPredictor(model), features[:64]

    def once() -> float:
        start = perf_counter()
        for _ in range(20):
            softmax(predictor.logits(batch))
        return 20 * len(batch) / (perf_counter() - start)

    # The best of many, and a third of what is usual: a busy machine must not fail this.
    assert max(once() for _ in range(50)) > 200_000
