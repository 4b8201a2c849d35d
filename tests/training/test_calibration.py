import numpy as np
import pytest
from scipy.special import softmax

from streamer.arrays import Floats, Ints
from streamer.model.class_tree import ClassTree
from streamer.training.calibration import Calibration, Outputs, calibrate, fit_node

OUTCOMES = (0, 1, 2, 3)


def draw(rng: np.random.Generator, logits: Floats) -> Ints:
    """Draw a class (n,) of each row, with the probabilities of these logits."""
    shares = softmax(logits, axis=1).cumsum(axis=1)
    drawn: Ints = (shares < rng.random((len(logits), 1))).sum(axis=1)
    return drawn


def test_the_temperature_corrects_overconfident_scores() -> None:
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 2, (5_000, 4))
    classes = draw(rng, logits)

    assert fit_node(logits, None, OUTCOMES, classes)[0] == pytest.approx(1, abs=0.1)
    assert fit_node(5 * logits, None, OUTCOMES, classes)[0] == pytest.approx(5, abs=0.5)


def test_temperature_and_factor_of_trees_are_found_from_the_outputs_of_both() -> None:
    rng = np.random.default_rng(1)
    logits, values = rng.normal(0, 2, (2, 5_000, 4))
    classes = draw(rng, logits / 4 + values * 0.5)

    temperature, factor = fit_node(logits, values, OUTCOMES, classes)

    assert temperature == pytest.approx(4, rel=0.1)
    assert factor == pytest.approx(0.5, rel=0.1)


def test_values_of_trees_count_for_each_logit_of_their_outcome() -> None:
    # walking at the waist, walking in the pocket | sitting; then lying and standing without trees
    tree = ClassTree([((0,), (1, 2)), ((1,), (2,))], [(0, 0, 1), (0, 1)])
    rng = np.random.default_rng(2)
    outputs = Outputs(rng.normal(size=(9, tree.rows)), rng.normal(size=(9, tree.outcomes)))

    found = Calibration((2.0, 1.0), (3.0, 0.0)).probabilities(tree, outputs)

    assert outputs.values is not None
    logits = np.pad(outputs.logits / (2, 2, 1), ((0, 0), (0, 1)))[:, [0, 1, 3]]
    first = softmax(logits + 3 * outputs.values[:, [0, 0, 1]], axis=1)
    np.testing.assert_allclose(found[:, 0], first[:, :2].sum(axis=1))
    second = softmax(np.pad(outputs.logits[:, 2:], ((0, 0), (0, 1))), axis=1)
    np.testing.assert_allclose(found[:, 1:], first[:, 2:] * second)


def test_a_node_without_trees_has_the_factor_zero() -> None:
    tree = ClassTree([((0,), (1,))])
    outputs = Outputs(np.array([[1.0], [-1.0], [0.5]]), np.zeros((3, 2)))

    assert calibrate(outputs, np.array([0, 1, 1]), tree).factors == (0.0,)
