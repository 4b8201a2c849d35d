from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from streamer.datasets.labelled_windows import UNLABELLED, LabelledWindows
from streamer.labels.smoothing import find_filter
from streamer.training.confused_pair import find_most_confused
from streamer.training.judgement import Judgement, judge
from streamer.training.people_scores import (
    compare_to_baseline,
    count_errors_by_person,
    score_people,
)

SIT, STAND, UP = "sitting", "standing", "sitting>standing"
CLASSES = (SIT, STAND, UP)


def windows(truths: str, recording: str = "a", subject: str = "1") -> LabelledWindows:
    """Windows of a recording: s is sitting, S standing, u standing up, anything else nothing."""
    names = {"s": SIT, "S": STAND, "u": UP}
    n = len(truths)
    return LabelledWindows(
        features=np.random.default_rng(1).normal(size=(n, 561)),
        truths=np.array([names.get(each, UNLABELLED) for each in truths]),
        subjects=np.full(n, subject),
        recordings=np.full(n, recording),
        starts=np.arange(n) * 64,
        copies=np.zeros(n, np.int64),
        places=np.full(n, ""),
    )


def scores(said: str, sure: float = 0.8) -> np.ndarray:
    """Of windows that are called so."""
    found = np.full((len(said), 3), (1 - sure) / 2)
    found[np.arange(len(said)), ["sSu".index(each) for each in said]] = sure
    return found


def judged(truths: str, said: str, sure: float = 0.8) -> Judgement:
    return judge(windows(truths), CLASSES, scores(said, sure))


def test_a_window_alone_has_its_likeliest_activity() -> None:
    found = judged("ssSS", "sSSu")

    # The last one is likeliest a movement; of the activities, none is likelier than the other.
    assert found.predicted.tolist() == [SIT, STAND, STAND, SIT]
    assert found.window_confusion.counts.tolist() == [[1, 1], [1, 1]]


def test_the_smoothed_activity_is_that_of_the_filter_and_the_policy() -> None:
    found = judged("sssss.uuSSS", "ssSss.uuSSS".replace(".", "u"), sure=0.9)

    smooth = find_filter(CLASSES)
    belief, beliefs = None, []
    for likelihoods in smooth.likelihoods(found.scores):
        belief = smooth.update(belief, likelihoods)
        beliefs.append(belief)
    assert found.beliefs is not None
    np.testing.assert_array_equal(found.beliefs, beliefs)
    assert found.smoothed_labels is not None
    assert found.smoothed_labels.tolist() == [*[SIT] * 5, *["unknown"] * 3, *[STAND] * 3]
    assert found.share_unknown() == (1, 0)


def test_every_recording_is_smoothed_by_itself() -> None:
    both = LabelledWindows.joined([windows("sss"), windows("SSS", "b")])
    said = scores("sssSSS")

    alone = judge(windows("SSS", "b"), CLASSES, said[3:]).beliefs
    together = judge(both, CLASSES, said).beliefs

    assert alone is not None
    assert together is not None
    np.testing.assert_array_equal(together[3:], alone)


def test_windows_that_do_not_follow_one_another_are_not_smoothed() -> None:
    some = windows("sS")
    apart = replace(some, recordings=np.array(["1", "2"]))

    found = judge(apart, CLASSES, scores("sS"))

    assert (found.smoothed_confusion, found.smoothed_labels, found.share_unknown()) == (
        None,
        None,
        None,
    )


def test_movements_that_stand_out_have_an_area_of_one() -> None:
    assert judged("ssuuSS", "ssuuSS").movement_auroc == 1
    assert judged("ssSS", "ssSS").movement_auroc is None


# true       s s s s . u S S S S S . s s s
# called     s S s s . u s s S S S . S S S
@pytest.mark.parametrize(
    ("truths", "called", "expected"),
    [
        # Standing is seen after two windows, sitting never; within an activity it changes thrice.
        ("ssss.uSSSSS.sss", "sSsssusSSSSSSSS", (2, 1, 1, 3)),
        ("ssss.uSSSSS.sss", "ssssuuSSSSSusss", (2, 0, 0, 0)),
        ("ssss", "ssss", (0, 0, 0, 0)),
        ("....", "ssss", (0, 0, 0, 0)),
    ],
)
def test_missed_late_and_false_changes_are_counted(
    truths: str, called: str, expected: tuple[int, int, float, int]
) -> None:
    found = judged(truths, called)
    names = np.array(CLASSES)[["sSu".index(each) for each in called]]
    within = sum(one == other and one in "sS" for one, other in pairwise(truths))
    changes, missed, delay, flips = expected

    a_minute = flips / within * 60 / 1.28 if within else 0
    seen = found.follow_changes(names)
    assert (seen.changes, seen.missed, seen.delay) == (changes, missed, delay)
    assert seen.false_a_minute == pytest.approx(a_minute)


def test_people_are_judged_each_by_themselves() -> None:
    both = LabelledWindows.joined([windows("ssSS"), windows("ssSS", "b", subject="2")])
    found = judge(both, CLASSES, scores("ssSSsSSS"))

    assert score_people(found)["1"][0] == 1
    assert score_people(found)["2"][0] == pytest.approx((2 / 3 + 4 / 5) / 2, abs=1e-6)
    assert count_errors_by_person(found)["2"][SIT][:2] == [2, 1]
    better = compare_to_baseline(judge(both, CLASSES, scores("ssSSssSS")), found, smoothed=False)
    assert better is not None
    assert (better.better, better.worse) == (1, 0)
    assert better.mean == pytest.approx((1 - score_people(found)["2"][0]) / 2, abs=1e-6)


def test_confused_classes_are_listed_with_the_features_that_separate_them() -> None:
    found = judged("ssssSSSS", "ssSSsSSS")
    found.windows.features[:, 40] = [0, 0.1, 0, 0.1, 5, 5.1, 5, 5.1]

    why = find_most_confused(found)

    assert why is not None
    assert (why.activities, why.mistakes, why.feature) == ((SIT, STAND), 3, "tGravityAcc-mean()-X")
    assert why.separation == pytest.approx(100)
    assert find_most_confused(judged("ssSS", "ssSS")) is None
