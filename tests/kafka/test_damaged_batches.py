"""A damaged batch holds its partition, is named, and can be skipped."""

import asyncio
import re
from contextlib import aclosing

import pytest
from aiokafka import AIOKafkaProducer
from structlog.testing import capture_logs

from streamer.errors import ProcessingError
from streamer.gateway.device_sockets import DeviceSockets
from streamer.gateway.live_events import LiveEvents
from streamer.kafka import lane, topics
from streamer.kafka.aiokafka_internals import WholeBatch, build_batch
from streamer.kafka.event_formats import make_event_decoder
from streamer.kafka.reader import open_reader
from streamer.kafka.skip import skip_record
from streamer.localkafka.broker import LocalKafka
from streamer.tools.event_feed import follow_events
from tests.conftest import MakeSettings
from tests.support.damaged_log import damage, replace_on_disk
from tests.support.member import (
    Member,
    publish,
    read_events,
    read_topic,
    run_to_end,
    ten_seconds,
    until,
    until_devices,
    working,
)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lane, "RETRY_S", 0.05)
    monkeypatch.setattr(lane, "LOOK_AGAIN_S", 0.2)


# partition 0   |-- before --|## damaged ##|-- after --|
# partition 1   |-- other --|
@pytest.mark.usefixtures("impatient")
async def test_a_damaged_batch_holds_its_partition_and_can_be_skipped(
    kafka: LocalKafka, make_settings: MakeSettings
) -> None:
    settings = make_settings(partitions=2)
    await topics.ensure(settings)
    for device in ("before", "damaged", "after"):
        await publish(settings, ten_seconds(device), 0)
    first, last = damage(kafka, settings.readings_topic, 12)
    async with working(Member(settings)) as worker:

        async def held() -> bool:
            return bool(worker.health.held)

        await until(held)
        [problem] = worker.health.held
        assert (
            f"{settings.readings_topic}[0]: the records {first} to {last} cannot be read" in problem
        )
        assert worker.value("restarts_total") == 0
        # What comes before it is done, and the other partition goes on.
        await publish(settings, ten_seconds("other"), 1)
        await until_devices(settings, "before", "other")
        [advice] = re.findall(r"streamer skip (\d+) (\d+)", problem)
        await skip_record(settings, *map(int, advice))
        await until_devices(settings, "before", "other", "after")
    [letter] = await read_topic(settings, settings.dlq_topic)
    assert (letter.key, letter.value) == (None, None)
    said = dict(letter.headers)
    assert (said["streamer-reason"], said["streamer-lost"]) == (
        b"skipped",
        f"{first}-{last}".encode(),
    )
    # A recovery passes over it, too.
    await publish(settings, ten_seconds("later"))
    await run_to_end(settings)
    await until_devices(settings, "later")
    assert len(await read_topic(settings, settings.dlq_topic)) == 1


@pytest.mark.usefixtures("impatient")
async def test_until_the_end_a_damaged_batch_is_an_error(
    kafka: LocalKafka, make_settings: MakeSettings
) -> None:
    settings = make_settings(partitions=1)
    await topics.ensure(settings)
    await publish(settings, ten_seconds("damaged"))
    _, last = damage(kafka, settings.readings_topic, 0)
    with pytest.raises(ProcessingError, match=rf"records 0 to {last} .* skip 0 {last}$"):
        await run_to_end(settings)


# readings    |## first: ten seconds, damaged after they were processed ##|-- later --|
# recovery    ^ low                                                       ^ next
@pytest.mark.usefixtures("impatient")
async def test_a_batch_that_is_damaged_after_it_was_processed_can_be_skipped(
    kafka: LocalKafka, make_settings: MakeSettings
) -> None:
    settings = make_settings(partitions=1)
    await topics.ensure(settings)
    await publish(settings, ten_seconds("first"))
    await run_to_end(settings)
    first, last = damage(kafka, settings.readings_topic, 0)
    await publish(settings, ten_seconds("later"))
    async with working(Member(settings)) as worker:

        async def held() -> bool:
            return bool(worker.health.held)

        await until(held)
        assert f"skip 0 {last}" in worker.health.held[0]
        with pytest.raises(ProcessingError, match=rf"only together: streamer skip 0 {last}"):
            await skip_record(settings, 0, first)
        await skip_record(settings, 0, last)
        await until_devices(settings, "later")
    # Its output was published before, so nothing is lost.
    assert await read_topic(settings, settings.dlq_topic) == []


# events    |## damaged: the last events of all devices ##|
async def test_damaged_events_do_not_stop_a_recovery(
    kafka: LocalKafka, make_settings: MakeSettings
) -> None:
    settings = make_settings(partitions=1)
    await topics.ensure(settings)
    await publish(settings, ten_seconds("phone"))
    await run_to_end(settings)
    first, last = damage(kafka, settings.events_topic, 0)
    await publish(settings, ten_seconds("phone", start_s=10))
    with capture_logs() as said:
        worker = await run_to_end(settings)
    [line] = [each for each in said if each["event"].startswith("events cannot be read back")]
    assert f"the records {first} to {last} cannot be read" in line["problem"]
    assert worker.value("restarts_total") == 0
    assert worker.value("windows_total", outcome="predicted") > 0


def test_a_damaged_batch_does_not_pass_for_a_transaction_marker() -> None:
    is_control = 0x20
    data = bytearray(build_batch([(0, b"phone", b"{}", [])]))
    data[WholeBatch.ATTRIBUTES_OFFSET + 1] ^= is_control
    assert not WholeBatch(bytes(data)).is_control_batch
    assert not WholeBatch(bytes(data)).validate_crc()


# events    |## damaged ##|-- later --|
async def test_programs_that_read_events_pass_over_a_damaged_batch(
    kafka: LocalKafka, make_settings: MakeSettings
) -> None:
    settings = make_settings(partitions=1)
    await topics.ensure(settings)
    await publish(settings, ten_seconds("damaged"))
    await run_to_end(settings)
    damage(kafka, settings.events_topic, 0)
    await publish(settings, ten_seconds("later"))
    await run_to_end(settings)
    with capture_logs() as said:
        assert {event.device_id for event in await read_events(settings)} == {"later"}
    [line] = [each for each in said if each["event"].startswith("a record batch is damaged")]
    assert line["partition"] == f"{settings.events_topic}[0]"
    async with (
        open_reader(settings, settings.events_topic, "earliest", 10) as consumer,
        aclosing(follow_events(consumer, make_event_decoder(settings))) as feed,
        asyncio.timeout(60),
    ):
        async for news in feed:
            if news.events:
                assert {event.device_id for event in news.events} == {"later"}
                break
    live = LiveEvents(settings, DeviceSockets())
    following = asyncio.create_task(live.follow())
    try:
        await asyncio.wait_for(live.hub.is_current.wait(), 60)
        assert live.fleet.partition("later") == 0
        assert live.fleet.partition("damaged") is None
    finally:
        following.cancel()


# readings    |-- header name that is not UTF-8 --|-- after it --|
async def test_programs_that_read_a_topic_accept_any_header_name(
    kafka: LocalKafka, make_settings: MakeSettings
) -> None:
    settings = make_settings(partitions=1)
    await topics.ensure(settings)
    async with AIOKafkaProducer(bootstrap_servers=kafka.bootstrap_servers) as producer:
        await producer.send_and_wait(
            settings.readings_topic, b"{}", b"phone", 0, headers=[("marked", b"1")]
        )
    replace_on_disk(kafka, settings.readings_topic, b"marked", b"\xff\xfe\xfdked")
    [record] = await read_topic(settings, settings.readings_topic)
    assert record.headers == [("\\xff\\xfe\\xfdked", b"1")]
