"""Gauges of state are true whenever they are scraped, also when nothing moves."""

from dataclasses import dataclass

import pytest

from streamer.health import Health, NotReady
from streamer.kafka.lag import PartitionLag
from streamer.metrics import Metrics
from tests.support.clock import Clock
from tests.support.events import WALK


@dataclass
class Worker:
    """What a worker shows, on a clock of the test's own."""

    clock: Clock
    metrics: Metrics
    health: Health

    def shown(self, name: str, **labels: str) -> float | None:
        return self.metrics.registry.get_sample_value(f"streamer_{name}", labels)


@pytest.fixture
def worker() -> Worker:
    clock = Clock()
    worker = Worker(clock, Metrics(clock), Health(clock))
    worker.health.show_in(worker.metrics)
    return worker


def test_without_a_broker_every_gauge_of_state_is_there_and_grows(worker: Worker) -> None:
    worker.clock.now_s += 270
    assert worker.shown("ready") == 0
    assert worker.shown("connected") == 0
    assert worker.shown("not_ready", reason="not connected") == 1
    for name in ("worst_lag", "last_commit_age", "last_event_age", "newest_record_age"):
        assert worker.shown(f"{name}_seconds") == 270


def test_a_broker_that_no_longer_answers_shows_in_connection_readiness_and_lag(
    worker: Worker,
) -> None:
    worker.health.connected = True
    worker.health.answered()
    assert (worker.shown("ready"), worker.shown("connected")) == (1, 1)
    assert worker.shown("worst_lag_seconds") == 0
    worker.clock.now_s += 270
    assert (worker.shown("ready"), worker.shown("connected")) == (0, 0)
    assert worker.shown("worst_lag_seconds") == 270
    assert worker.health.why_not_ready() == "not connected: no broker has answered for 270 s"
    worker.health.answered()
    assert (worker.shown("ready"), worker.shown("worst_lag_seconds")) == (1, 0)


def test_a_worker_without_partitions_is_ready_and_has_no_lag(worker: Worker) -> None:
    worker.health.connected = True
    worker.health.answered()
    assert (worker.shown("ready"), worker.shown("worst_lag_seconds")) == (1, 0)
    assert worker.shown("lag_records", partition="0") is None


def test_every_reason_is_a_series_and_several_may_be_true(worker: Worker) -> None:
    health = worker.health
    health.connected = True
    health.answered()
    health.recovering = {1}
    health.held = ["partition 2"]
    health.endpoint("503")
    shown = {reason.value: worker.shown("not_ready", reason=reason.value) for reason in NotReady}
    assert shown == {
        "not connected": 0,
        "recovering": 1,
        "held": 1,
        "endpoint": 1,
        "stalled": 0,
    }


def test_the_lag_of_a_partition_is_computed_when_scraped_and_gone_with_the_partition(
    worker: Worker,
) -> None:
    lag = PartitionLag(worker.clock)
    lag.start_at(10, 4)
    lag.end_at(50)
    worker.health.take_partition(3, lag, worker.metrics)
    worker.clock.now_s += 60
    assert worker.shown("lag_records", partition="3") == 40
    assert worker.shown("group_lag_records", partition="3") == 46
    assert worker.shown("lag_seconds", partition="3") == 60
    assert worker.shown("worst_lag_seconds") == 60
    worker.health.forget_partition(3, worker.metrics)
    assert worker.shown("lag_records", partition="3") is None


def test_an_age_starts_anew_when_its_event_happens_again(worker: Worker) -> None:
    worker.clock.now_s += 100
    worker.metrics.count_commit()
    worker.metrics.count_arrival(worker.clock.now_s - 7)
    worker.clock.now_s += 5
    assert worker.shown("last_commit_age_seconds") == 5
    assert worker.shown("last_event_age_seconds") == 105
    assert worker.shown("newest_record_age_seconds") == 12
    worker.metrics.count_events([WALK])
    assert worker.shown("last_event_age_seconds") == 0
