import io
import math
from collections import defaultdict

import numpy as np
import pytest
from rich.console import Console

from streamer.contracts.readings import Format
from streamer.publishing.due_records import Fate
from streamer.publishing.faults import SensorFaults
from streamer.publishing.people import Person
from streamer.publishing.publisher import DeviceRecord
from streamer.publishing.sending import Sending
from streamer.publishing.simulate import SimulatedDevice, simulate
from tests.conftest import MakeSettings
from tests.support.published import read_partitions
from tests.support.records import NOW_MS, ARecord, decode

SKEW_US = 300_000_000
EVERYTHING = SensorFaults(jitter_ms=2, gap=0.05, late=0.05, duplicate=0.05, bad=0.05)


def device(
    samples: float = 500, faults: SensorFaults | None = None, sending: Sending | None = None
) -> SimulatedDevice:
    return SimulatedDevice(
        "phone-1", (7, 1), NOW_MS, samples, sending or Sending(), faults or SensorFaults()
    )


def as_records(messages: list[DeviceRecord]) -> list[ARecord]:
    return [ARecord(key, value, tuple(headers)) for key, value, headers, _ in messages]


@pytest.mark.parametrize("batch", [1, 7, 50, 400])
@pytest.mark.parametrize("form", Format)
def test_a_device_sends_the_samples_of_its_person(batch: int, form: Format) -> None:
    phone = device(500, sending=Sending(batch=batch, format=form))
    messages = phone.until(NOW_MS + 499 * 20)
    decoded = decode(as_records(list(messages)), SKEW_US)
    values, _ = Person([7, 1, 0]).take(500)

    assert not decoded.rejects
    assert [message.samples for message in messages[:-1]] == [batch] * (len(messages) - 1)
    np.testing.assert_array_equal(decoded.time_us, (NOW_MS + np.arange(500) * 20) * 1000)
    np.testing.assert_allclose(decoded.values, values, rtol=1e-6 if form is Format.F32 else 0)


@pytest.mark.parametrize("faults", [SensorFaults(), EVERYTHING])
def test_the_number_of_calls_does_not_change_the_records(faults: SensorFaults) -> None:
    often, once = device(faults=faults), device(faults=faults)
    end_ms = NOW_MS + 12_000

    asked = [m for time in np.arange(NOW_MS, end_ms + 1, 333.3) for m in often.until(time)]
    asked += often.until(end_ms)

    assert asked == list(once.until(end_ms))
    assert often.fates == once.fates


def test_nothing_is_sent_before_its_last_sample_is_taken() -> None:
    phone = device(sending=Sending(batch=50))

    assert phone.until(NOW_MS + 49 * 20 - 1) == []
    assert len(phone.until(NOW_MS + 49 * 20)) == 1


def test_a_device_without_an_end_keeps_sending() -> None:
    phone = device(math.inf)
    hour_ms = 3_600_000

    assert len(phone.until(NOW_MS + 30_000)) == 1501
    assert sum(m.samples for m in phone.until(NOW_MS + hour_ms / 10)) == 18_001 - 1501


def test_the_records_counted_as_bad_are_the_refused_ones() -> None:
    phone = device(3000, EVERYTHING)
    messages = phone.until(NOW_MS + 60_000)
    decoded = decode(as_records(list(messages)), SKEW_US)

    assert len(decoded.rejects) == phone.fates[Fate.BAD] > 50
    assert len(messages) == phone.fates.total() - phone.fates[Fate.LOST]


async def test_all_published_records_are_in_kafka(make_settings: MakeSettings) -> None:
    settings = make_settings(partitions=3)
    simulated = await simulate(
        settings,
        Sending(speed=math.inf),
        devices=5,
        duration_s=20,
        seed=3,
        faults=SensorFaults(jitter_ms=5, late=0.01, bad=0.02),
        console=Console(file=io.StringIO()),
    )
    partitions = await read_partitions(settings)

    assert simulated.sent.records == sum(map(len, partitions.values()))
    assert simulated.sent.samples == 5 * 20 * 50
    rejects, times = 0, defaultdict(list)
    for records in partitions.values():
        decoded = decode(records, SKEW_US)
        rejects += len(decoded.rejects)
        for device_id, time_us in zip(decoded.device, decoded.time_us, strict=True):
            times[decoded.device_ids[device_id]].append(time_us)
    assert rejects == simulated.fates[Fate.BAD] > 0
    assert sorted(times) == [f"phone-{i:03d}" for i in range(1, 6)]
    assert all(len(set(taken)) == 1000 for taken in times.values())
    steps_back = sum((np.diff(np.maximum.accumulate(taken)) == 0).sum() for taken in times.values())
    assert steps_back == simulated.fates[Fate.LATE] > 0
