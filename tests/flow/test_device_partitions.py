import pytest
from structlog.testing import capture_logs

from streamer.flow import device_partitions
from streamer.flow.device_partitions import DevicePartitions, SplitDeviceReport
from streamer.health import Health
from streamer.metrics import Metrics


def counted(metrics: Metrics) -> float | None:
    return metrics.registry.get_sample_value("streamer_split_devices_total")


def test_a_device_in_two_partitions_is_named_and_counted_once() -> None:
    #  partition 0   a b    a      a
    #  partition 1       c    b      b d
    metrics = Metrics()
    health = Health(lambda: 0.0)
    places = SplitDeviceReport(metrics, health.note_split_devices)
    with capture_logs() as logs:
        places.record(0, ["a", "b"])
        places.record(1, ["c"])
        places.record(0, ["a"])
        assert counted(metrics) == 0
        places.record(1, ["b"])
        places.record(0, ["a"])
        places.record(1, ["b", "d"])
        places.record(0, ["b"])
    assert counted(metrics) == health.split_devices == 1
    assert "devices with readings in two partitions: 1" in (health.trouble() or "")
    (line,) = logs
    assert line["log_level"] == "warning"
    assert line["devices"] == ["b"]
    assert line["partitions"] == [0, 1]


def test_the_memory_for_devices_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device_partitions, "MOST_DEVICES", 100)
    places = DevicePartitions()
    for i in range(1000):
        places.add(i % 2, [f"device-{i}", "always here" if i % 2 else "always there"])
        assert len(places._recent) + len(places._older) <= 2 * 102
    places.add(0, ["always here"])
    assert places._split == {"always here"}
    for i in range(1000):
        for partition in (0, 1):
            places.add(partition, [f"everywhere-{i}"])
    assert len(places._split) <= 100
