import asyncio
import math
import time

import pytest

from streamer.errors import KafkaError
from streamer.kafka import topics
from streamer.publishing.publisher import DeviceRecord, Sent, Timeline, publish
from tests.conftest import MakeSettings
from tests.support.published import read_partitions


class Counter:
    """Sends a number every 20 ms."""

    def __init__(self, name: str, start_ms: float, size: int = 0) -> None:
        self._key = name.encode()
        self._start_ms = start_ms
        self._padding = b" " * size
        self._sent = 0

    def until(self, time_ms: float) -> list[DeviceRecord]:
        due = max(0, math.floor((time_ms - self._start_ms) / 20) + 1)
        numbers, self._sent = range(self._sent, due), max(self._sent, due)
        return [DeviceRecord(self._key, b"%d%b" % (i, self._padding), [], 1) for i in numbers]


def now_ms() -> float:
    return math.floor(time.time() * 1000)


@pytest.mark.parametrize("speed", [0.5, 1, 20, math.inf])
def test_time_is_never_ahead_of_the_clock(speed: float) -> None:
    start_ms = now_ms() - 60_000
    timeline = Timeline(start_ms, math.inf, speed, time.monotonic() - 1)
    much_later = Timeline(start_ms, math.inf, speed, time.monotonic() - 1e6)

    assert timeline.now() >= min(start_ms + 1000 * speed, now_ms()) - 1
    assert timeline.now() <= time.time() * 1000
    assert much_later.now() <= time.time() * 1000


def test_readings_in_real_time_start_now_after_any_preparation_time() -> None:
    #  timeline made   devices prepared, broker found    first turn
    #  |<----------------- 2.6 s ----------------------->|
    begun_s = time.monotonic() - 2.6
    timeline = Timeline(now_ms() - 2600, math.inf, 1, begun_s)
    assert now_ms() - timeline.now() < 100


async def test_publishing_catches_up_with_the_time_that_its_preparation_has_taken(
    make_settings: MakeSettings,
) -> None:
    #  timeline made   |<-- 10 minutes of preparation -->|   first turn
    #  asked until     start, start + 1 s, ..., now
    settings = make_settings(partitions=1)
    await topics.ensure(settings)
    stop, late_ms = asyncio.Event(), 600_000

    class Asked:
        def until(self, time_ms: float) -> list[DeviceRecord]:
            if now_ms() - time_ms < late_ms / 2:
                stop.set()
            return []

    timeline = Timeline(now_ms() - late_ms, math.inf, 1, time.monotonic() - late_ms / 1000)
    async with asyncio.timeout(120):
        await publish(settings, [Asked()], timeline, stop)


async def test_each_device_is_sent_whole_and_in_order(make_settings: MakeSettings) -> None:
    settings = make_settings(partitions=3)
    await topics.ensure(settings)
    start_ms = now_ms() - 60_000
    devices = [Counter(f"device-{i}", start_ms) for i in range(7)]
    timeline = Timeline(start_ms, start_ms + 999 * 20, math.inf)
    sent = await publish(settings, devices, timeline, asyncio.Event())

    records = [r for records in (await read_partitions(settings)).values() for r in records]
    assert sent.records == sent.samples == len(records) == 7000
    for i in range(7):
        own = [int(r.value or b"") for r in records if r.key == f"device-{i}".encode()]
        assert own == list(range(1000))


async def test_records_of_several_batches_keep_their_order(make_settings: MakeSettings) -> None:
    settings = make_settings(partitions=1)
    await topics.ensure(settings)
    start_ms = now_ms() - 10_000
    timeline = Timeline(start_ms, start_ms + 199 * 20, math.inf)
    big = Counter("big", start_ms, size=50_000)
    await publish(settings, [big], timeline, asyncio.Event())

    (records,) = (await read_partitions(settings)).values()
    assert [int(record.value or b"") for record in records] == list(range(200))


async def test_keys_go_where_every_kafka_client_puts_them(make_settings: MakeSettings) -> None:
    settings = make_settings(partitions=5)
    await topics.ensure(settings)
    # Murmur2 of the keys, from the tests of Kafka's own client.
    hashes = {"21": -973932308, "foobar": -790332482, "a-little-bit-long-string": -985981536}
    start_ms = now_ms()
    devices = [Counter(key, start_ms) for key in hashes]
    await publish(settings, devices, Timeline(start_ms, start_ms, 1), asyncio.Event())

    partitions = await read_partitions(settings)
    found = {r.key: partition for partition, records in partitions.items() for r in records}
    assert found == {key.encode(): (h & 0x7FFFFFFF) % 5 for key, h in hashes.items()}


@pytest.mark.parametrize("speed", [1, 4])
async def test_readings_are_published_at_their_time(
    make_settings: MakeSettings, speed: float
) -> None:
    settings = make_settings(partitions=1)
    await topics.ensure(settings)
    start_ms = now_ms() - 10_000
    begun_ms = now_ms()
    timeline = Timeline(start_ms, start_ms + 1000 * speed, speed)
    await publish(settings, [Counter("device", start_ms)], timeline, asyncio.Event())

    (records,) = (await read_partitions(settings)).values()
    assert len(records) == 50 * speed + 1
    # The broker may take its time, but nobody is early.
    late_ms = [r.timestamp - begun_ms - i * 20 / speed for i, r in enumerate(records)]
    assert min(late_ms) >= -1


async def test_the_records_counted_at_a_stop_have_arrived(make_settings: MakeSettings) -> None:
    settings = make_settings(partitions=2)
    await topics.ensure(settings)
    start_ms = now_ms() - 3_600_000
    stop = asyncio.Event()

    def on_progress(sent: Sent) -> None:
        if sent.records > 2000:
            stop.set()

    devices = [Counter(f"device-{i}", start_ms) for i in range(4)]
    timeline = Timeline(start_ms, math.inf, math.inf)
    sent = await publish(settings, devices, timeline, stop, on_progress)

    partitions = await read_partitions(settings)
    assert 2000 < sent.records == sum(map(len, partitions.values())) < 4 * 180_000


async def test_a_record_that_kafka_does_not_accept_is_an_error(
    make_settings: MakeSettings,
) -> None:
    settings = make_settings()
    await topics.ensure(settings)
    start_ms = now_ms()
    huge = Counter("huge", start_ms, size=2_000_000)
    timeline = Timeline(start_ms, start_ms, 1)
    with pytest.raises(KafkaError, match="fewer samples"):
        await publish(settings, [huge], timeline, asyncio.Event())
