"""Where the time of a label goes, and which devices have a wrong clock."""

import numpy as np
import pytest

from streamer.contracts.readings import BOTH_SENSORS, Decoded
from streamer.contracts.records import OneRecord, Records
from streamer.features.window_shape import WINDOW
from streamer.fetch_traces import MOST_LINKS
from streamer.flow.label_delays import ArrivalMeter, Clock, LabelDelays, read_trace
from streamer.metrics import Metrics
from streamer.stream.windows import ClosedWindows
from tests.test_metrics import value

NOON_S = 1_750_000_000


def fetch(*samples: tuple[str, float, float]) -> tuple[Records, Decoded]:
    """Records of one sample: device, its time, and Kafka's time, in seconds after noon."""
    names = list(dict.fromkeys(device for device, _, _ in samples))
    records = Records.of(
        OneRecord(device.encode(), b"", [], round((NOON_S + stamped_s) * 1000), offset)
        for offset, (device, _, stamped_s) in enumerate(samples)
    )
    decoded = Decoded(
        record=np.arange(len(samples)),
        device=np.array([names.index(device) for device, _, _ in samples], np.intp),
        device_ids=names,
        time_us=np.array([round((NOON_S + time_s) * 1e6) for _, time_s, _ in samples]),
        values=np.zeros((len(samples), 6)),
        sensors=np.full(len(samples), BOTH_SENSORS, np.uint8),
        complete=True,
        rejects=[],
    )
    return records, decoded


def closed(*windows: tuple[str, float]) -> list[ClosedWindows]:
    """Windows by their device and their end, in seconds after noon."""
    count = len(windows)
    ends_us = np.array([round((NOON_S + end_s) * 1e6) for _, end_s in windows])
    yes = np.ones(count, bool)
    return [
        ClosedWindows(
            [device for device, _ in windows],
            ends_us - WINDOW.length_us,
            np.ones(count),
            yes,
            yes,
            yes,
            np.zeros((count, 9, WINDOW.length + 1)),
        )
    ]


def mean(metrics: Metrics, name: str, **labels: str) -> float:
    return value(metrics, f"{name}_sum", **labels) / value(metrics, f"{name}_count", **labels)


def test_the_stages_of_a_label_add_up_to_its_age() -> None:
    """The window waits for its device, and then the label for each stage::

    sample time   0.0 end of the window     0.3 the record's sample
    our clock                               0.3   0.5 Kafka   0.6 received   0.7   0.9   1.0
    """
    metrics = Metrics()
    records, decoded = fetch(("a", 0.3, 0.5))
    delays = ArrivalMeter(metrics).measure(records, decoded, closed(("a", 0.0)))
    delays.received_s = NOON_S + 0.6
    delays.computed_s = NOON_S + 0.7
    delays.answered_s = NOON_S + 0.9
    delays.observe(metrics, NOON_S + 1.0, labels=1)

    stages = ("window", "sensor_to_broker", "broker_to_worker", "features", "predict", "commit")
    found = [mean(metrics, "label_delay_seconds", stage=stage) for stage in stages]
    assert found == pytest.approx([0.3, 0.2, 0.1, 0.1, 0.2, 0.1], abs=1e-6)
    assert mean(metrics, "label_age_seconds", clock="right") == pytest.approx(1.0, abs=1e-6)
    assert sum(found) == pytest.approx(1.0, abs=1e-6)


def test_a_fetch_counts_once_for_each_of_its_labels() -> None:
    metrics = Metrics()
    LabelDelays(received_s=2.0, computed_s=5.0).observe(metrics, 9.0, labels=4)
    assert value(metrics, "label_delay_seconds_count", stage="features") == 4
    assert value(metrics, "label_delay_seconds_sum", stage="features") == 12
    assert value(metrics, "label_delay_seconds_count", stage="window") == 0


def test_devices_with_a_wrong_clock_are_told_apart_until_it_is_right_or_they_are_gone() -> None:
    metrics = Metrics()
    meter = ArrivalMeter(metrics)

    def skewed() -> tuple[float, float]:
        return (
            value(metrics, "skewed_devices", clock="ahead"),
            value(metrics, "skewed_devices", clock="behind"),
        )

    samples = fetch(("right", 0, 0.2), ("ahead", 30, 0.2), ("behind", -3600, 0.2), ("late", -90, 0))
    ends = closed(("right", 0), ("ahead", 29), ("behind", -3601))
    delays = meter.measure(*samples, ends)
    assert skewed() == (1, 2)
    assert mean(metrics, "sensor_delay_seconds", clock="right") == pytest.approx(0.2, abs=1e-3)
    assert mean(metrics, "sensor_delay_seconds", clock="ahead") == pytest.approx(29.8, abs=1e-3)
    assert value(metrics, "sensor_delay_seconds_count", clock="behind") == 2
    # A clock that is ahead says nothing about the age of a label.
    assert {clock: len(ends_s) for clock, ends_s in delays.ends_s.items()} == {
        Clock.RIGHT: 1,
        Clock.BEHIND: 1,
    }
    assert delays.sensor_s == pytest.approx(0.2, abs=1e-3)

    meter.measure(*fetch(("late", 1, 1.1), ("right", 1, 1.1)), [])
    assert skewed() == (1, 1)
    meter.forget(["behind"])
    assert skewed() == (1, 0)
    meter.hand_over()
    assert skewed() == (0, 0)


def test_a_histogram_observes_an_array_as_it_observes_single_values() -> None:
    one, other = Metrics(), Metrics()
    values = np.array([0.0, 0.05, 0.051, 7.0, 1e6])
    one.label_age.labels("right").observe_all(values)
    for each in values:
        other.label_age.labels("right").observe(each)
    shown = [
        [(s.name, s.labels, s.value) for s in each.label_age.collect()[0].samples]  # type: ignore[index]
        for each in (one, other)
    ]
    assert [x for x in shown[0] if "created" not in x[0]] == [
        x for x in shown[1] if "created" not in x[0]
    ]


def test_a_trace_has_the_first_trace_headers_of_a_fetch_and_no_more_than_links_are_made() -> None:
    headers = [[], [("other", b"x")]]
    headers += [[("traceparent", b"%d" % (i // 2))] for i in range(4 * MOST_LINKS)]
    records = Records.of(OneRecord(b"a", b"", each, 0, 7 + i) for i, each in enumerate(headers))
    trace = read_trace(records)
    assert (trace.first, trace.last, trace.records) == (7, 6 + len(headers), len(headers))
    assert trace.parents == tuple(b"%d" % i for i in range(MOST_LINKS))
