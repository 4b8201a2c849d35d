import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from streamer.training.classification_scores import (
    ClassScores,
    ConfusionMatrix,
    compute_auroc,
    compute_reliability,
)

ACTIVITIES = ("walking", "sitting", "standing", "laying", "rowing")


def test_scores_of_a_small_example_worked_by_hand() -> None:
    # walking: 3 right, 1 called sitting; sitting: 2 right, 2 called walking, 1 unknown.
    pairs = [
        *[("walking", "walking")] * 3,
        ("walking", "sitting"),
        *[("sitting", "sitting")] * 2,
        *[("sitting", "walking")] * 2,
        ("sitting", "unknown"),
    ]
    found = ConfusionMatrix.of(*zip(*pairs, strict=True))

    assert (found.truths, found.answers) == (
        ("walking", "sitting"),
        ("walking", "sitting", "unknown"),
    )
    assert found.counts.tolist() == [[3, 1, 0], [2, 2, 1]]
    assert found.accuracy == 5 / 9
    assert found.classes["walking"] == ClassScores(3 / 5, 3 / 4, 6 / 9, support=4)
    assert found.classes["sitting"] == ClassScores(2 / 3, 2 / 5, 4 / 8, support=5)
    assert found.macro_f1 == pytest.approx((6 / 9 + 4 / 8) / 2)
    assert found.mistakes() == [
        ("sitting", "walking", 2),
        ("walking", "sitting", 1),
        ("sitting", "unknown", 1),
    ]


def test_nothing_to_judge_scores_zero() -> None:
    found = ConfusionMatrix.of([], [])

    assert (found.accuracy, found.macro_f1, found.windows) == (0, 0, 0)


PAIRS = st.lists(
    st.tuples(st.sampled_from(ACTIVITIES), st.sampled_from((*ACTIVITIES, "unknown"))), min_size=1
)


@settings(deadline=None)  # the first call imports scikit-learn
@given(PAIRS)
def test_the_scores_are_those_of_scikit_learn(pairs: list[tuple[str, str]]) -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    true, said = zip(*pairs, strict=True)
    found = ConfusionMatrix.of(true, said)
    assume(len(found.answers) > 1)

    np.testing.assert_array_equal(
        found.counts,
        metrics.confusion_matrix(true, said, labels=found.answers)[: len(found.truths)],
    )
    assert found.accuracy == pytest.approx(metrics.accuracy_score(true, said))
    assert found.macro_f1 == pytest.approx(
        metrics.f1_score(true, said, labels=found.truths, average="macro", zero_division=0)
    )
    expected = metrics.precision_recall_fscore_support(
        true, said, labels=found.truths, zero_division=0
    )
    np.testing.assert_allclose(
        [(s.precision, s.recall, s.f1, s.support) for s in found.classes.values()],
        np.transpose(expected),
    )


SCORES = st.lists(st.sampled_from([0, 0.1, 0.5, 0.7, 1]), min_size=1)


@settings(deadline=None)
@given(SCORES, SCORES)
def test_the_area_under_the_curve_is_that_of_scikit_learn(
    positive: list[float], negative: list[float]
) -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    truths = [1] * len(positive) + [0] * len(negative)

    found = compute_auroc(np.array(positive), np.array(negative))

    assert found == pytest.approx(metrics.roc_auc_score(truths, positive + negative))


def test_without_cases_of_both_kinds_there_is_no_area() -> None:
    assert compute_auroc(np.array([]), np.array([0.5])) is None


def test_the_calibration_error_is_the_difference_of_confidence_and_accuracy() -> None:
    sure = np.array([0.9, 0.9, 0.9, 0.9, 0.3, 1.0])
    right = np.array([True, True, True, False, False, True])

    found = compute_reliability(sure, right)

    assert found.counts.tolist() == [0, 0, 0, 1, 0, 0, 0, 0, 0, 5]
    # 0.3 is never right; of those in the last bin 4 of 5 are right, sure by 0.92 on average.
    assert found.error == pytest.approx((1 * 0.3 + 5 * 0.12) / 6)
