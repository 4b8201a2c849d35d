import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamer.contracts.activities import UNKNOWN
from streamer.model.evaluation import (
    ANSWERS,
    TRUTHS,
    Alignment,
    ClassScores,
    Labelled,
    Replay,
    accuracy,
    align,
    class_scores,
    confusion_matrix,
    macro_f1,
)
from streamer.model.recordings import Segment

WALKING, SITTING = "walking", "sitting"

# samples    0        200       330          500        700
#            |  none   | walking | transition | sitting  |
SEGMENTS = {
    "a": [
        Segment(1, 1, activity=1, start0=200, end0=330),
        Segment(1, 1, activity=7, start0=330, end0=500),
        Segment(1, 1, activity=4, start0=500, end0=700),
    ]
}
REPLAYS = {"a": [Replay(start_ms=1_000_000, samples=700, interval_ms=20)]}


def event(window_start_ms: float, activity: str = WALKING, device_id: str = "a") -> Labelled:
    return Labelled(f"{device_id}/{window_start_ms}", device_id, window_start_ms, activity)


def aligned(*events: Labelled) -> Alignment:
    return align(events, REPLAYS, SEGMENTS)


@pytest.mark.parametrize(
    ("window_start_ms", "inside"),
    [
        (1_003_980, False),  # sample 199
        (1_003_981, True),  # between samples 199 and 200: the window takes 200 .. 327
        (1_004_000, True),  # sample 200 itself
        (1_004_040, True),  # samples 202 .. 329, the last of the segment
        (1_004_041, False),  # sample 203
        (1_008_000, False),  # sample 400, in a transition
        (1_010_000, True),  # sample 500
        (1_013_999, False),  # the recording ends within the window
    ],
)
def test_a_window_counts_if_its_samples_lie_in_one_segment(
    window_start_ms: float, inside: bool
) -> None:
    alignment = aligned(event(window_start_ms))

    assert (len(alignment.pairs), alignment.unlabelled) == (inside, not inside)


def test_true_and_published_activities_are_paired() -> None:
    alignment = aligned(event(1_004_000, SITTING), event(1_010_000, UNKNOWN))

    assert alignment.pairs == [(WALKING, SITTING), (SITTING, UNKNOWN)]


def test_events_of_other_devices_are_counted_not_judged() -> None:
    assert aligned(event(1_004_000, device_id="b")) == Alignment(unknown_device=1)


@pytest.mark.parametrize("window_start_ms", [999_980, 1_014_000, 5_000_000])
def test_events_from_outside_any_replay_are_counted_not_judged(window_start_ms: float) -> None:
    assert aligned(event(window_start_ms)) == Alignment(outside_replay=1)


def test_a_window_may_start_within_a_sample_before_the_recording() -> None:
    segments = {"a": [Segment(1, 1, activity=1, start0=0, end0=128)]}

    assert align([event(999_981)], REPLAYS, segments).pairs == [(WALKING, WALKING)]


def test_of_two_replays_the_one_that_was_running_counts() -> None:
    replays = {"a": [Replay(1_000_000, 700, 20), Replay(2_000_000, 700, 20)]}
    events = [event(1_004_000), event(2_004_000), event(2_010_000, SITTING), event(1_999_000)]

    assert align(events, replays, SEGMENTS) == Alignment(
        pairs=[(WALKING, WALKING), (WALKING, WALKING), (SITTING, SITTING)], outside_replay=1
    )


def test_a_replay_at_another_interval_is_followed() -> None:
    replays = {"a": [Replay(1_000_000, 700, 20.5)]}

    assert align([event(1_004_100)], replays, SEGMENTS).pairs == [(WALKING, WALKING)]
    assert align([event(1_004_000)], replays, SEGMENTS).unlabelled == 1


def test_a_window_published_twice_counts_once() -> None:
    alignment = aligned(event(1_004_000), event(1_004_000, SITTING))

    assert alignment == Alignment(pairs=[(WALKING, WALKING)], repeated=1)


def test_scores_of_a_small_example_worked_by_hand() -> None:
    # walking: 3 right, 1 called sitting; sitting: 2 right, 2 called walking, 1 unknown.
    matrix = confusion_matrix(
        [(WALKING, WALKING)] * 3
        + [(WALKING, SITTING)]
        + [(SITTING, SITTING)] * 2
        + [(SITTING, WALKING)] * 2
        + [(SITTING, UNKNOWN)]
    )

    assert matrix.shape == (6, 7)
    assert matrix[TRUTHS.index(SITTING)].tolist() == [2, 0, 0, 2, 0, 0, 1]
    assert accuracy(matrix) == 5 / 9
    assert class_scores(matrix)[WALKING] == ClassScores(3 / 5, 3 / 4, 6 / 9, support=4)
    assert class_scores(matrix)[SITTING] == ClassScores(2 / 3, 2 / 5, 4 / 8, support=5)
    assert class_scores(matrix)["laying"] == ClassScores(0, 0, 0, support=0)
    assert macro_f1(matrix) == pytest.approx((6 / 9 + 4 / 8) / 2)


def test_nothing_to_judge_scores_zero() -> None:
    matrix = confusion_matrix([])

    assert (accuracy(matrix), macro_f1(matrix)) == (0, 0)


PAIRS = st.lists(st.tuples(st.sampled_from(TRUTHS), st.sampled_from(ANSWERS)), min_size=1)


@settings(deadline=None)  # the first call imports scikit-learn
@given(PAIRS)
def test_the_scores_are_those_of_scikit_learn(pairs: list[tuple[str, str]]) -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    true, published = zip(*pairs, strict=True)
    occurred = sorted(set(true))
    matrix = confusion_matrix(pairs)
    scores = class_scores(matrix)

    np.testing.assert_array_equal(
        matrix, metrics.confusion_matrix(true, published, labels=ANSWERS)[: len(TRUTHS)]
    )
    assert accuracy(matrix) == pytest.approx(metrics.accuracy_score(true, published))
    assert macro_f1(matrix) == pytest.approx(
        metrics.f1_score(true, published, labels=occurred, average="macro", zero_division=0)
    )
    expected = metrics.precision_recall_fscore_support(
        true, published, labels=TRUTHS, zero_division=0
    )
    np.testing.assert_allclose(
        [(s.precision, s.recall, s.f1, s.support) for s in scores.values()],
        np.transpose(expected),
    )
