"""The forward filter, what is decided from its beliefs, and what devices are remembered by."""

from collections.abc import Sequence
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamer.arrays import Floats
from streamer.contracts.activities import UNKNOWN, check_activity_names
from streamer.contracts.events import ActivityEvent, Reason, Reliability, decode_event, encode_event
from streamer.labels.decision import decide
from streamer.labels.label_policy import LabelPolicy
from streamer.labels.labelling import Labeller
from streamer.labels.smoothing import (
    DECIMALS,
    FLOOR,
    TRUST,
    TRUST_IN_POSTURES,
    ForwardFilter,
    _step,
    transitions,
)
from streamer.model.identity import ModelIdentity
from streamer.predict.answers import Answers, Origin, Scored
from streamer.predict.predictor import Prediction
from streamer.stream.windows import Window

SIX = ("walking", "walking_upstairs", "walking_downstairs", "sitting", "standing", "laying")
TWELVE = (
    *SIX,
    *("standing>sitting", "sitting>standing", "sitting>laying"),
    *("laying>sitting", "standing>laying", "laying>standing"),
)
OWN = ("rowing", "resting")
HOP_MS = 1280


def card(activities: Sequence[str]) -> ModelIdentity:
    return ModelIdentity("m", "1", tuple(name.upper() for name in activities), tuple(activities))


def sure(activities: Sequence[str], activity: str, share: float = 0.97) -> list[float]:
    rest = (1 - share) / (len(activities) - 1)
    return [share if name == activity else rest for name in activities]


def windows(device_id: str, hops: Sequence[int]) -> list[Window]:
    return [
        Window(device_id, 1000 + hop * HOP_MS, 1.0, settled=True, follows=hop - 1 in hops or i > 0)
        for i, hop in enumerate(hops)
    ]


def answered(activities: Sequence[str], scores: Sequence[Sequence[float]]) -> Answers:
    prediction = Prediction(np.array(scores, np.float64), card(activities))
    return Answers.from_prediction(prediction, "local", Origin.LOCAL)


def labelled(
    activities: Sequence[str], rows: Sequence[Sequence[float]], policy: LabelPolicy | None = None
) -> list[ActivityEvent]:
    """One device, window after window."""
    labels = Labeller(policy or LabelPolicy())
    return labels.label(windows("a", range(len(rows))), answered(activities, rows))


@pytest.mark.parametrize("posture", ["sitting", "laying"])
def test_a_jogger_stands_before_sitting_down_as_a_walker_does(
    posture: str,
) -> None:
    activities = ("walking", "jogging", "sitting", "standing", "laying")
    moves = transitions(activities)
    here, there = activities.index("jogging"), activities.index(posture)
    assert moves[here, there] < moves[here, activities.index("standing")]
    assert moves[there, here] < moves[there, activities.index("standing")]


@pytest.mark.parametrize("activities", [SIX, TWELVE, OWN])
def test_the_transition_probabilities_add_up_to_one_and_none_is_zero(
    activities: tuple[str, ...],
) -> None:
    moves = transitions(activities)
    np.testing.assert_allclose(moves.sum(axis=1), 1)
    assert (moves > 0).all()


def test_sitting_does_not_change_to_walking_and_changes_of_posture_go_through_known_movements() -> (
    None
):
    twelve, six = transitions(TWELVE), transitions(SIX)
    at = TWELVE.index
    assert twelve[at("sitting"), at("walking")] < twelve[at("standing"), at("walking")] / 5
    assert six[at("sitting"), at("walking")] < six[at("standing"), at("walking")] / 5
    assert (
        twelve[at("standing"), at("sitting")] < twelve[at("standing"), at("standing>sitting")] / 5
    )
    assert six[at("standing"), at("sitting")] == six[at("standing"), at("walking")]


def plain_likelihoods(activities: Sequence[str], scores: Sequence[float]) -> list[float]:
    """Score of the kind, times the share of the class in it to the power of a trust."""
    ends = {end for name in activities if ">" in name for end in name.split(">")}
    kinds = [
        "movement" if ">" in name else "posture" if name in ends else "" for name in activities
    ]
    found = []
    for kind, score in zip(kinds, scores, strict=True):
        whole = sum(s for k, s in zip(kinds, scores, strict=True) if k == kind)
        trust = TRUST_IN_POSTURES if kind == "posture" else TRUST
        found.append(max(whole, FLOOR) * max(score / max(whole, FLOOR), FLOOR) ** trust)
    return found


@pytest.mark.parametrize("activities", [SIX, TWELVE, OWN])
def test_the_filter_is_the_forward_algorithm(activities: tuple[str, ...]) -> None:
    count = len(activities)
    scores = np.random.default_rng(0).dirichlet(np.ones(count), size=20)
    smoothing, moves = ForwardFilter(activities), transitions(activities)
    belief, slow = None, np.full(count, 1 / count)
    for likelihoods, row in zip(smoothing.likelihoods(scores), scores.tolist(), strict=True):
        if belief is not None:
            slow = np.array(
                [sum(slow[i] * moves[i, j] for i in range(count)) for j in range(count)]
            )
        belief = smoothing.update(belief, likelihoods)
        slow *= plain_likelihoods(activities, row)
        slow /= slow.sum()
        np.testing.assert_allclose(belief, slow, atol=2e-5)


@given(st.sampled_from([SIX, TWELVE, OWN]), st.integers(0, 2**32 - 1))
def test_likelihoods_of_a_window_do_not_depend_on_the_windows_beside_it(
    activities: tuple[str, ...], seed: int
) -> None:
    scores = np.random.default_rng(seed).dirichlet(np.full(len(activities), 0.3), size=9)
    smoothing = ForwardFilter(activities)
    alone = [smoothing.likelihoods(row[None])[0].tobytes() for row in scores]
    assert [row.tobytes() for row in smoothing.likelihoods(scores)] == alone


# window      0         1                 2         3         4         5
# alone       standing  standing>sitting  standing  standing  standing  standing, with 0.6 each
# smoothed    standing  unknown           sitting   sitting   sitting   sitting
def test_a_movement_decides_the_posture_after_it_more_than_the_windows_of_the_posture_do() -> None:
    resting = [0.01] * len(TWELVE)
    resting[TWELVE.index("standing")], resting[TWELVE.index("sitting")] = 0.6, 0.3
    movement = sure(TWELVE, "standing>sitting")
    events = labelled(TWELVE, [sure(TWELVE, "standing"), movement, *[resting] * 4])
    assert [event.activity for event in events] == ["standing", UNKNOWN, *["sitting"] * 4]
    assert {event.activity_raw for event in events[2:]} == {"standing"}


# window      0         1         2         3
# alone       standing  sitting   sitting   sitting
def test_a_posture_changes_at_once_for_a_model_without_movements() -> None:
    events = labelled(SIX, [sure(SIX, "standing"), *[sure(SIX, "sitting")] * 3])
    assert [event.activity for event in events] == ["standing", *["sitting"] * 3]


# window      0        1        2        3        4
# alone       walking  walking  laying   walking  walking
# smoothed    walking  walking  walking  walking  walking
def test_a_single_error_of_the_model_is_smoothed_away_and_visible_in_activity_raw() -> None:
    walking, slip = sure(TWELVE, "walking"), sure(TWELVE, "laying", 0.8)
    events = labelled(TWELVE, [walking, walking, slip, walking, walking])
    assert [event.activity for event in events] == ["walking"] * 5
    assert [event.activity_raw for event in events] == [
        *["walking"] * 2,
        "laying",
        *["walking"] * 2,
    ]
    assert {event.reliability for event in events} == {Reliability.MODEL}


def test_a_movement_between_postures_is_unknown_with_a_reason() -> None:
    postures = [
        "standing",
        "standing",
        "standing>sitting",
        "standing>sitting",
        "sitting",
        "sitting",
    ]
    events = labelled(TWELVE, [sure(TWELVE, name) for name in postures])
    assert [event.activity for event in events] == [
        *("standing", "standing", UNKNOWN, UNKNOWN, "sitting", "sitting"),
    ]
    assert [event.reason for event in events] == [
        *(None, None, Reason.TRANSITION, Reason.TRANSITION, None, None),
    ]


@given(st.lists(st.sampled_from(TWELVE), min_size=1, max_size=8))
def test_without_smoothing_each_window_is_labelled_alone(names: list[str]) -> None:
    alone = LabelPolicy(smoothing=False)
    events = labelled(TWELVE, [sure(TWELVE, name) for name in names], alone)
    for name, event in zip(names, events, strict=True):
        assert event.activity == (name if name in SIX else UNKNOWN)
        assert event.activity_raw == name or (name not in SIX and event.activity_raw in SIX)
        assert event.posterior == {}


def test_a_doubtful_window_is_unknown_or_decided_by_the_context() -> None:
    walking = sure(SIX, "walking")
    doubt = [0.34, 0.0, 0.0, 0.0, 0.36, 0.3]
    rows = [walking, walking, doubt]
    unknown = labelled(SIX, rows, LabelPolicy(smoothing=False, min_confidence=0.5))[-1]
    assert (unknown.activity, unknown.reason, unknown.confidence) == (
        *(UNKNOWN, Reason.CONFIDENCE, 0.36),
    )
    assert unknown.reliability is None
    assert list(unknown.scores.values()) == doubt
    context = labelled(SIX, rows, LabelPolicy(smoothing=False, min_confidence=0.5, context=True))[
        -1
    ]
    assert (context.activity, context.reason) == ("walking", None)
    assert context.reliability is Reliability.CONTEXT
    assert context.activity_raw == "standing"


def test_classes_with_the_same_activity_count_together() -> None:
    [decision] = decide(np.array([[0.4, 0.3, 0.3]]), ("rowing", "resting", "resting"))
    assert (decision.activity, decision.confidence) == ("resting", 0.6)


# hop        0        1        2        3 (missing)        4
# belief     a ------ b ------ c                           a
def test_after_a_missing_window_a_device_starts_without_a_belief() -> None:
    labels, walking = Labeller(LabelPolicy()), sure(SIX, "walking")
    events = labels.label(windows("a", [0, 1, 2, 4]), answered(SIX, [walking] * 4))
    assert events[0].posterior == events[3].posterior
    assert events[0].posterior["WALKING"] < events[1].posterior["WALKING"]


def test_the_order_of_classes_in_a_model_does_not_matter() -> None:
    labels, other = Labeller(LabelPolicy()), Labeller(LabelPolicy())
    walking, backwards = sure(SIX, "walking"), SIX[::-1]
    for hop in (0, 1):
        labels.label(windows("a", [hop]), answered(SIX, [walking]))
        other.label(windows("a", [hop]), answered(SIX, [walking]))
    [same] = labels.label(windows("a", [2]), answered(SIX, [walking]))
    [turned] = other.label(windows("a", [2]), answered(backwards, [walking[::-1]]))
    assert turned.posterior == same.posterior
    assert list(turned.posterior) == list(same.posterior)[::-1]


def test_a_device_starts_without_a_belief_with_another_model_or_when_it_was_forgotten() -> None:
    labels, walking = Labeller(LabelPolicy()), sure(SIX, "walking")
    [first] = labels.label(windows("a", [0]), answered(SIX, [walking]))
    [second] = labels.label(windows("a", [1]), answered(TWELVE, [sure(TWELVE, "walking")]))
    assert len(second.posterior) == 12
    labels.forget(["a"])
    [third] = labels.label(windows("a", [2]), answered(TWELVE, [sure(TWELVE, "walking")]))
    assert third.posterior == second.posterior
    assert first.posterior != second.posterior


def test_windows_without_scores_leave_no_belief() -> None:
    labels, walking = Labeller(LabelPolicy()), sure(SIX, "walking")
    [only] = labels.label(windows("a", [0]), answered(SIX, [walking]))
    whole = answered(SIX, [walking])
    part = Scored(np.array([2]), whole.scored[0].prediction, "local", Origin.LOCAL)
    events = labels.label(windows("a", [1, 2, 3]), Answers(3, [part], {0: "poison"}))
    assert [event.window_start for event in events] == [1000 + 2 * HOP_MS, 1000 + 3 * HOP_MS]
    assert events[0].reason is Reason.UNAVAILABLE
    assert events[0].activity_raw is None
    assert events[1].posterior == only.posterior


@given(st.data())
def test_a_worker_that_reads_the_last_events_continues_with_the_same_bytes(
    data: st.DataObject,
) -> None:
    devices = ["a", "b", "c"]
    hops = data.draw(st.lists(st.tuples(st.sampled_from(devices), st.booleans()), max_size=30))
    rows: list[Window] = []
    at = dict.fromkeys(devices, 0)
    for device, gap in hops:
        at[device] += 3 if gap else 1
        rows += windows(device, [at[device]])
    shares = np.random.default_rng(len(rows)).dirichlet(np.full(12, 0.2), size=len(rows))
    whole = Labeller(LabelPolicy()).label(rows, answered(TWELVE, shares.tolist())) if rows else []
    cut = data.draw(st.integers(0, len(rows)))

    first = (
        Labeller(LabelPolicy()).label(rows[:cut], answered(TWELVE, shares[:cut].tolist()))
        if cut
        else []
    )
    published = {event.device_id: decode_event(encode_event(event)) for event in first}
    later = Labeller(LabelPolicy())
    later.restore(published)
    rest = (
        later.label(rows[cut:], answered(TWELVE, shares[cut:].tolist())) if cut < len(rows) else []
    )
    assert [encode_event(e) for e in first + rest] == [encode_event(e) for e in whole]


def plain_step(moves: Floats, before: Floats, weights: Floats, belief: Floats) -> None:
    """One step of the filter in NumPy, added up one by one as the compiled one does."""
    weighed = np.cumsum(before[:, None] * moves, axis=0)[-1] * weights
    np.round(weighed / np.cumsum(weighed)[-1], DECIMALS, out=belief)


@given(st.sampled_from([SIX, TWELVE, OWN]), st.integers(0, 2**32 - 1))
def test_compiled_or_not_beliefs_have_the_same_bits(activities: tuple[str, ...], seed: int) -> None:
    scores = np.random.default_rng(seed).dirichlet(np.full(len(activities), 0.3), size=30)
    smoothing = ForwardFilter(activities)
    weights = smoothing.likelihoods(scores)

    def beliefs(step: object) -> list[bytes]:
        with patch("streamer.labels.smoothing._step", step):
            last, found = None, []
            for row in weights:
                last = smoothing.update(last, row)
                found.append(last.tobytes())
            return found

    assert beliefs(_step) == beliefs(plain_step)


@pytest.mark.parametrize(
    ("names", "complaint"),
    [
        (["walking", "?"], "no activity"),
        (["walking", "unknown"], "doubt"),
        (["walking", ">"], "no activity"),
    ],
)
def test_names_that_are_not_activities_are_refused(names: list[str], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        check_activity_names(names)
