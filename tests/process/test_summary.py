"""What is said when a worker ends, and with which exit code it does."""

from collections import Counter

import pytest

from streamer.health import Health
from streamer.metrics import Metrics
from streamer.process.summary import NO_EVENTS, Summary
from streamer.stream.accounting import Skip, Tally
from tests.support.events import WALK


def problems(summary: Summary) -> list[str]:
    return [advice.problem for advice in summary.advice()]


def test_a_summary_shows_every_counter() -> None:
    metrics = Metrics()
    metrics.records.inc(50)
    metrics.rejects.labels("malformed").inc(2)
    skipped = Counter({Skip.GAP: 4})
    tally = Tally(used=900, late=20, duplicate=10, opened=30, closed=20, skipped=skipped)
    metrics.count_tally(tally, received=1000)
    metrics.count_predicted(20)
    metrics.count_events([WALK, WALK])
    health = Health(lambda: 0.0, unlabelled={"phone-7": "implausible"})
    summary = Summary.of(metrics, health)
    assert summary.records == 50
    assert summary.rejects == {"malformed": 2}
    assert summary.samples == {"used": 900, "late": 20, "duplicate": 10, "waiting": 70}
    assert summary.windows == {"predicted": 20, "gap": 4, "open": 6}
    assert summary.events == {"walking": 2}
    assert summary.unlabelled == {("phone-7", "implausible"): 1}
    assert (summary + summary).windows == {"predicted": 40, "gap": 8, "open": 12}


@pytest.mark.parametrize(
    ("summary", "stopped", "at_the_end"),
    [
        (Summary(), 0, 0),
        (Summary(records=9, events=Counter(walking=1)), 0, 0),
        (Summary(records=9, rejects=Counter(schema=9)), NO_EVENTS, NO_EVENTS),
        (Summary(records=9, windows=Counter(sampling_rate=3)), NO_EVENTS, NO_EVENTS),
        (Summary(records=9, samples=Counter(late=900)), NO_EVENTS, NO_EVENTS),
        (Summary(records=9, windows=Counter(open=3)), 0, NO_EVENTS),
        (Summary(records=9, windows=Counter(gap=1, predicted=3)), 0, NO_EVENTS),
        (Summary(records=9, windows=Counter(gap=1, unanswered=3)), 0, NO_EVENTS),
    ],
)
def test_records_without_any_event_have_an_exit_code_of_their_own(
    summary: Summary, stopped: int, at_the_end: int
) -> None:
    assert summary.exit_code(until_end=False) == stopped
    assert summary.exit_code(until_end=True) == at_the_end


def test_unfamiliar_devices_are_named_with_a_remedy() -> None:
    metrics = Metrics()
    metrics.found_unfamiliar.inc(3)
    [advice] = (Summary.of(metrics, Health(lambda: 0.0)) + Summary(unfamiliar_devices=1)).advice()
    assert advice.problem == "4 devices moved in a way that the model has not learned"


def test_the_drift_of_two_workers_is_the_larger_one_and_not_the_sum() -> None:
    one = Summary(drifted=Counter(confidence=30, labels=40))
    other = Summary(drifted=Counter(confidence=50))
    assert (one + other).drifted == {"confidence": 50, "labels": 40}


def test_there_is_no_advice_without_problems() -> None:
    summary = Summary(
        records=99,
        samples=Counter(used=9900, late=100),
        windows=Counter(predicted=100, open=4, gap=2),
        answers=Counter(endpoint=100),
        events=Counter(walking=100),
    )
    assert problems(summary) == []


def test_each_frequent_reason_has_advice() -> None:
    summary = Summary(
        records=100,
        rejects=Counter(schema=7, key=1),
        samples=Counter(used=50, late=50),
        windows=Counter(sampling_rate=10, invented=10, predicted=10, open=5),
        answers=Counter(refused=3),
        drifted=Counter({"labels": 90, "confidence": 31}),
    )
    assert problems(summary) == [
        "records were read and no event was published",
        "8 records were rejected (schema 7, key 1)",
        "10 of 30 windows were skipped: sampling_rate",
        "10 of 30 windows were skipped: invented",
        "50 of 100 samples came too late",
        "the predictor has answered refused for 3 windows",
        "the confidence of the model differs from that in training",
    ]
    assert all(advice.remedy for advice in summary.advice())


def test_records_without_any_sensor_of_the_profile_are_said_to_be_so() -> None:
    # The other three are rejected.
    nothing = Summary(records=9, rejects=Counter(schema=3))
    assert "compare its `where`" in next(nothing.advice()).remedy
    for summary in (
        Summary(records=3, rejects=Counter(schema=3)),
        Summary(records=9, samples=Counter(waiting=1)),
    ):
        assert "2.6 s" in next(summary.advice()).remedy


def test_devices_without_labels_are_named_by_reason() -> None:
    devices = [(f"phone-{i}", "coverage") for i in range(7)] + [("watch", "implausible")]
    summary = Summary(records=99, events=Counter(walking=1), unlabelled=Counter(devices))
    [problem] = problems(summary)
    assert problem == (
        "8 devices have no label (coverage 7: phone-0, phone-1, phone-2, phone-3, phone-4, ...; "
        "implausible 1: watch)"
    )
