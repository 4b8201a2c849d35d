from collections import Counter
from pathlib import Path

import msgspec

from streamer import metrics as module
from streamer.contracts.activities import UNKNOWN
from streamer.metrics import Metrics
from streamer.stream.accounting import Skip, Tally
from tests.support.events import WALK

DOCS = Path(__file__).parents[1] / "docs" / "metrics.md"


def value(metrics: Metrics, name: str, **labels: str) -> float:
    found = metrics.registry.get_sample_value(f"streamer_{name}", labels)
    return 0.0 if found is None else found


def total(metrics: Metrics, name: str) -> float:
    return sum(
        sample.value
        for family in metrics.registry.collect()
        for sample in family.samples
        if sample.name == f"streamer_{name}"
    )


def test_workers_of_one_process_count_apart() -> None:
    one, other = Metrics(), Metrics()
    one.records.inc()
    assert value(one, "records_total") == 1
    assert value(other, "records_total") == 0


def test_every_metric_is_in_the_catalogue_with_its_labels_and_meaning() -> None:
    metrics = Metrics()
    families = {family.name: family for family in metrics.registry.collect()}
    assert len({entry.name for entry in metrics.catalogue}) == len(metrics.catalogue)
    for entry in metrics.catalogue:
        family = families.pop(entry.name.removesuffix("_total"))
        assert (family.type, family.documentation) == (entry.type, entry.meaning)
        assert entry.meaning.endswith(".")
    assert set(families) == {"streamer_build"}


def test_the_counters_of_samples_and_windows_balance() -> None:
    metrics = Metrics()
    metrics.count_taken_over(devices=3, windows=5, samples=40)
    metrics.samples_received.inc(1000)
    tally = Tally(
        used=900, late=20, duplicate=10, opened=30, closed=20, skipped=Counter({Skip.GAP: 4})
    )
    metrics.count_tally(tally, received=1000)
    assert value(metrics, "samples_waiting") == 40 + 1000 - 900 - 20 - 10
    assert value(metrics, "windows_open") == 5 + 30 - 4
    metrics.count_predicted(20)
    assert value(metrics, "windows_open") == 5 + 30 - 20 - 4
    for _ in ("before", "after"):
        assert value(metrics, "samples_received_total") == (
            total(metrics, "samples_total") + value(metrics, "samples_waiting")
        )
        assert value(metrics, "windows_opened_total") == (
            total(metrics, "windows_total") + value(metrics, "windows_open")
        )
        metrics.count_moved(devices=3, windows=11, unanswered=0, samples=110)
    assert total(metrics, "windows_total") > 0


def test_committed_events_are_counted_by_activity_and_source() -> None:
    metrics = Metrics()
    silent = msgspec.structs.replace(WALK, model=None, activity=UNKNOWN)
    metrics.count_events([WALK, WALK, silent])
    assert value(metrics, "events_total", activity="walking") == 2
    assert value(metrics, "events_total", activity="unknown") == 1
    assert total(metrics, "predictions_total") == 2


def test_the_documented_table_is_up_to_date() -> None:
    assert DOCS.read_text(encoding="utf-8").endswith("\n" + module.documentation())
