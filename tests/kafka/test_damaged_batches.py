"""A damaged batch holds its partition, is named, and can be skipped."""

import re
import struct

import pytest
from structlog.testing import capture_logs

from streamer.errors import ProcessingError
from streamer.kafka import lane, topics
from streamer.kafka.aiokafka_internals import WholeBatch, build_batch
from streamer.kafka.skip import skip_record
from streamer.localkafka.broker import LocalKafka
from tests.conftest import MakeSettings
from tests.support.member import (
    Member,
    publish,
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


def damage(kafka: LocalKafka, topic: str, offset: int) -> tuple[int, int]:
    """Change the last byte of a batch of partition 0 on the disk of the broker.

    Returns:
        The first and the last offset of the batch that has the record at `offset`.
    """
    [segment] = kafka.folder.glob(f"**/{topic}-0/*.log")
    data = segment.read_bytes()
    begin = end = last = 0
    while last < offset or end == 0:
        begin = end
        (length,) = struct.unpack_from("!i", data, begin + WholeBatch.AFTER_LEN_OFFSET - 4)
        end += WholeBatch.AFTER_LEN_OFFSET + length
        last = WholeBatch(data[begin:end]).offset
    with segment.open("r+b") as file:
        file.seek(end - 1)
        file.write(bytes([data[end - 1] ^ 1]))
    return WholeBatch(data[begin:end]).base_offset, last


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
