import numpy as np

from streamer.contracts.encode import encode
from streamer.contracts.records import OneRecord, Records
from streamer.flow.partition_state import PartitionState
from streamer.flow.rejects import RejectLimit
from streamer.flow.unlabelled_devices import LATE, UnlabelledDevices
from streamer.metrics import Metrics
from streamer.settings import Settings
from streamer.stream.accounting import Skip
from streamer.stream.position import Position
from streamer.testing import START_MS, readings


def counted(metrics: Metrics) -> dict[str, float]:
    return {
        sample.labels["reason"]: sample.value
        for family in metrics.unlabelled_devices.collect()
        for sample in family.samples
        if sample.value
    }


def test_a_device_has_no_label_until_one_of_its_windows_is_good() -> None:
    metrics, reasons = Metrics(), dict[str, str]()
    devices = UnlabelledDevices(metrics, reasons)
    devices.record([], [("a", Skip.GAP), ("b", Skip.IMPLAUSIBLE)])
    devices.record([], [("a", Skip.COVERAGE), ("a", LATE), ("c", LATE)])
    assert reasons == {"a": "coverage", "b": "implausible", "c": "late"}
    assert counted(metrics) == {"coverage": 1, "implausible": 1, "late": 1}

    devices.record(["a", "d"], [("d", Skip.GAP)])
    devices.record([], [("a", Skip.GAP), ("d", Skip.IMPLAUSIBLE)])
    assert reasons == {"b": "implausible", "c": "late"}
    assert counted(metrics) == {"implausible": 1, "late": 1}


def test_a_partition_says_why_its_devices_have_no_label() -> None:
    #   right      50 Hz, g               labelled
    #   units      50 Hz, m/s2            implausible
    #   slow       4 Hz                   a gap at each step
    rng = np.random.default_rng(0)
    walk = rng.normal(size=(600, 6)) * 0.1 + (1, 0, 0, 0, 0, 0)
    log = [*readings("right", walk), *readings("units", walk * 9.8)]
    log += [
        OneRecord(*encode("slow", START_MS + i * 250, None, walk[i : i + 1]), START_MS + 20_000, 0)
        for i in range(40)
    ]
    records = [
        OneRecord(each.key, each.value, each.headers, START_MS + 20_000, offset)
        for offset, each in enumerate(log)
    ]
    reasons = dict[str, str]()
    settings, metrics = Settings.load({"max_future_skew_s": 60}, None), Metrics()
    state = PartitionState(
        settings,
        metrics,
        Position(0, 0),
        RejectLimit(1, 1, lambda: 0.0),
        record_outcomes=UnlabelledDevices(metrics, reasons).record,
    )
    state.compute(Records.of(records), len(records))
    assert reasons == {"units": "implausible", "slow": "gap"}
