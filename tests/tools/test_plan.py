"""`streamer plan`: rules that hold for every plan, and the figures of the documentation."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamer.contracts.events import encode_event
from streamer.contracts.readings import Format
from streamer.publishing.people import RATE_HZ, Person
from streamer.testing import readings, run_script
from streamer.tools.plan import EVENT_BYTES, LOAD, MOST_DEVICES, US_PER_SAMPLE, make_plan

DOCS = Path(__file__).parents[2] / "docs" / "scaling.md"

fleets = {
    "devices": st.integers(1, 10**9),
    "rate_hz": st.floats(1, 200),
    "batch": st.integers(1, 1000),
    "form": st.sampled_from(Format),
    "replicas": st.integers(1, 5),
    "retention_h": st.floats(0.1, 1000),
}


@given(st.fixed_dictionaries(fleets))
def test_a_plan_has_capacity_for_its_devices(fleet: dict[str, int]) -> None:
    plan = make_plan(**fleet)  # type: ignore[arg-type]
    assert plan.samples_s == fleet["devices"] * fleet["rate_hz"]
    assert plan.workers * LOAD >= plan.samples_s * US_PER_SAMPLE[fleet["form"]] / 1e6  # type: ignore[index]
    assert plan.partitions >= 2 * plan.workers
    assert plan.partitions * MOST_DEVICES >= fleet["devices"]
    assert plan.brokers >= fleet["replicas"]
    assert plan.amazon_ml_endpoints * 200 >= plan.windows_s


@given(st.fixed_dictionaries(fleets))
def test_more_devices_never_need_less(fleet: dict[str, int]) -> None:
    few = make_plan(**fleet)  # type: ignore[arg-type]
    many = make_plan(**(fleet | {"devices": 2 * fleet["devices"]}))  # type: ignore[arg-type]
    assert many.workers >= few.workers
    assert many.partitions >= few.partitions
    assert many.brokers >= few.brokers
    assert many.storage_gb > few.storage_gb


async def test_an_event_has_the_planned_size() -> None:
    published = await run_script(readings("phone-0123456789", Person(0).take(60 * RATE_HZ)[0]))
    sizes = [len(encode_event(event)) + len(event.device_id) for event in published.events]
    assert sum(sizes) / len(sizes) == pytest.approx(EVENT_BYTES, rel=0.05)


def test_the_figures_of_the_documentation_are_those_of_the_command() -> None:
    rows = [line.split("|")[1:-1] for line in DOCS.read_text().splitlines() if line[:1] == "|"]
    documented = {row[0].strip(): [cell.strip() for cell in row[1:]] for row in rows}
    for column, devices in enumerate((10_000, 1_000_000, 100_000_000)):
        plan = make_plan(devices, 50, 50, Format.JSON, replicas=3, retention_h=24)
        for name, found in (
            ("workers (cores), half loaded", plan.workers),
            ("partitions", plan.partitions),
            ("brokers of 50 MB/s, 3 replicas", plan.brokers),
        ):
            assert documented[name][column] == f"{found:,}"
        events = documented["events of the default model"][column].split()
        scale = {"MB/s": 1, "GB/s": 1000}[events[1]]
        assert float(events[0]) * scale == pytest.approx(plan.events_mb_s, rel=0.01)
