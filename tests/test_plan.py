"""`streamer plan`: sums that must hold whatever is planned."""

from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from streamer.cli import main
from streamer.contracts.readings import Format
from streamer.plan import LOAD, MOST_DEVICES, US_PER_SAMPLE, make_plan

fleets = {
    "devices": st.integers(1, 10**9),
    "rate_hz": st.floats(1, 200),
    "batch": st.integers(1, 1000),
    "form": st.sampled_from(Format),
    "replicas": st.integers(1, 5),
    "retention_h": st.floats(0.1, 1000),
}


@given(st.fixed_dictionaries(fleets))
def test_a_plan_carries_its_devices(fleet: dict[str, int]) -> None:
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


def test_the_figures_of_the_documentation_are_those_of_the_command() -> None:
    shown = CliRunner().invoke(main, ["plan", "--devices", "1000000"])
    assert shown.exit_code == 0
    words = shown.output.split()
    for figure in ("50,000,000", "283", "566", "202", "507.8", "12,207"):
        assert any(word.startswith(figure) for word in words), (figure, shown.output)
