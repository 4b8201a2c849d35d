"""How familiar devices are, what is published of unfamiliar ones, and what a recovery finds."""

from collections.abc import Sequence
from math import nan

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET

from streamer.contracts.activities import UNKNOWN
from streamer.contracts.events import ActivityEvent, Reason, Reliability, decode_event, encode_event
from streamer.labels.familiarity import LARGEST, START, is_unfamiliar, update
from streamer.labels.label_policy import LabelPolicy
from streamer.labels.labelling import Labeller
from streamer.model.identity import ModelIdentity
from streamer.predict.answers import Answers, Origin
from streamer.predict.predictor import Prediction
from streamer.stream.windows import Window

MODEL = ModelIdentity("m", "1", ("WALKING", "SITTING"), ("walking", "sitting"))
HOP_MS = 1280
STRANGE, KNOWN, RESTING = 7.5, 0.4, nan


def windows(device_id: str, hops: Sequence[int]) -> list[Window]:
    return [
        Window(device_id, hop * HOP_MS, 1.0, settled=True, follows=hop - 1 in hops or i > 0)
        for i, hop in enumerate(hops)
    ]


def answered(strangeness: Sequence[float] | None, model: ModelIdentity = MODEL) -> Answers:
    count = 1 if strangeness is None else len(strangeness)
    told = None if strangeness is None else np.array(strangeness)
    prediction = Prediction(np.tile([0.9, 0.1], (count, 1)), model, told)
    return Answers.from_prediction(prediction, "local", Origin.LOCAL)


def labelled(
    strangeness: Sequence[float], policy: LabelPolicy | None = None
) -> list[ActivityEvent]:
    """One device, window after window."""
    labels = Labeller(policy or LabelPolicy())
    return labels.label(windows("a", range(len(strangeness))), answered(strangeness))


def unfamiliar(events: Sequence[ActivityEvent]) -> str:
    return "".join("u" if is_unfamiliar(event.familiarity) else "-" for event in events)


# window       0 1 2 3 4 5 6 7 8 ...
# strange      s s s s s s . . . (resting)
# unfamiliar   - - - - u u u u u
def test_a_device_is_unfamiliar_after_some_strange_windows_and_while_it_rests_afterwards() -> None:
    events = labelled([STRANGE] * 6 + [RESTING] * 30)
    assert unfamiliar(events) == "----" + "u" * 32
    assert events[-1].familiarity == events[5].familiarity


# window       0 ... 49  50 ... 55 56
# strange      known      s        s
# unfamiliar   -          -        u
def test_seven_strange_windows_make_a_device_unfamiliar_after_any_familiar_time() -> None:
    events = labelled([KNOWN] * 50 + [STRANGE] * 7)
    assert unfamiliar(events) == "-" * 56 + "u"
    assert events[49].familiarity == LARGEST


def test_a_device_that_returns_to_a_known_place_becomes_familiar_again() -> None:
    events = labelled([STRANGE] * 30 + [KNOWN] * 4)
    assert unfamiliar(events).endswith("u-")


def test_a_person_whose_every_third_window_is_strange_stays_familiar() -> None:
    assert "u" not in unfamiliar(labelled([STRANGE, KNOWN, KNOWN] * 100))


def test_the_windows_of_an_unfamiliar_device_are_unknown_and_say_so() -> None:
    [*_, event] = labelled([STRANGE] * 6)
    assert (event.activity, event.reason) == (UNKNOWN, Reason.UNFAMILIAR)
    assert event.reliability is Reliability.UNFAMILIAR
    assert (event.activity_raw, event.scores["WALKING"]) == ("walking", 0.9)


def test_a_setting_publishes_the_labels_of_unfamiliar_devices() -> None:
    [*_, event] = labelled([STRANGE] * 6, LabelPolicy(label_unfamiliar=True))
    assert (event.activity, event.reason) == ("walking", None)
    assert event.reliability is Reliability.UNFAMILIAR


def test_events_of_models_without_familiarity_are_unchanged() -> None:
    [event] = Labeller(LabelPolicy()).label(windows("a", [0]), answered(None))
    assert event.familiarity is UNSET
    assert b"familiarity" not in encode_event(event)
    assert event.reliability is Reliability.MODEL


# hop        0 1 2 3 4 5   7 (6 is missing)
# strange    s s s s s s   s
# unfamiliar - - - - u u   -
def test_a_missing_window_or_another_model_makes_a_device_familiar_again() -> None:
    labels = Labeller(LabelPolicy())
    assert unfamiliar(labels.label(windows("a", range(6)), answered([STRANGE] * 6))) == "----uu"
    assert labels.unfamiliar == {"a"}
    [event] = labels.label(windows("a", [7]), answered([STRANGE]))
    assert event.familiarity == update(START, STRANGE)
    assert not labels.unfamiliar

    labels.label(windows("b", range(6)), answered([STRANGE] * 6))
    other = ModelIdentity("m", "2", MODEL.labels, MODEL.activities)
    [event] = labels.label([windows("b", range(7))[-1]], answered([STRANGE], other))
    assert event.familiarity == update(START, STRANGE)


def test_a_device_that_is_forgotten_is_not_counted_any_more() -> None:
    labels = Labeller(LabelPolicy())
    labels.label(windows("a", range(6)), answered([STRANGE] * 6))
    labels.forget(["a"])
    assert not labels.unfamiliar


@given(st.lists(st.sampled_from([STRANGE, KNOWN, RESTING]), max_size=60))
def test_familiarity_has_bounds_and_six_decimals(strangeness: list[float]) -> None:
    familiarity = START
    for each in strangeness:
        familiarity = update(familiarity, each)
        assert round(1 - LARGEST, 6) <= familiarity <= LARGEST
        assert familiarity == round(familiarity, 6)


@given(st.data())
def test_a_worker_that_reads_the_last_events_continues_with_the_same_bytes(
    data: st.DataObject,
) -> None:
    devices = ["a", "b", "c"]
    steps = data.draw(
        st.lists(
            st.tuples(
                st.sampled_from(devices),
                st.sampled_from([1, 1, 1, 1, 3]),
                st.sampled_from([STRANGE, STRANGE, KNOWN, RESTING]),
            ),
            min_size=1,
            max_size=60,
        )
    )
    at = dict.fromkeys(devices, 0)
    rows: list[Window] = []
    for device, hops, _ in steps:
        at[device] += hops
        rows += windows(device, [at[device]])
        rows[-1] = Window(device, at[device] * HOP_MS, 1.0, settled=True, follows=True)
    strange = [each for *_, each in steps]
    whole = Labeller(LabelPolicy()).label(rows, answered(strange))
    cut = data.draw(st.integers(0, len(rows)))

    first = Labeller(LabelPolicy()).label(rows[:cut], answered(strange[:cut])) if cut else []
    later = Labeller(LabelPolicy())
    later.restore({event.device_id: decode_event(encode_event(event)) for event in first})
    rest = later.label(rows[cut:], answered(strange[cut:])) if cut < len(rows) else []
    assert [encode_event(each) for each in first + rest] == [encode_event(each) for each in whole]


@pytest.mark.parametrize("strangeness", [1.0, 1.000001])
def test_a_window_at_the_limit_is_not_strange(strangeness: float) -> None:
    assert (update(START, strangeness) > START) == (strangeness <= 1)
