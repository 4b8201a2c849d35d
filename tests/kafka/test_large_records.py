"""Small batches that hold large records: what was accepted can be written again, or is cut."""

import random

from aiokafka import AIOKafkaProducer

from streamer.contracts.dead_letters import CUT, REASON
from streamer.kafka import topics
from streamer.kafka.record_batches import KEPT_BYTES, LARGEST_RECORD
from streamer.tools.dead_letters import Selection
from streamer.tools.letter_replay import put_back
from tests.conftest import MakeSettings
from tests.support.member import (
    WINDOWS_OF_10_S,
    publish,
    read_events,
    read_topic,
    run_to_end,
    ten_seconds,
)


async def test_a_large_record_of_a_small_batch_becomes_a_dead_letter_that_can_be_put_back(
    make_settings: MakeSettings,
) -> None:
    settings = make_settings(partitions=1)
    await topics.ensure(settings)
    whole, cut = LARGEST_RECORD - 10_000, 40_000_000
    incompressible = random.Random(0).randbytes(1_000_000)
    async with AIOKafkaProducer(
        bootstrap_servers=settings.bootstrap_servers,
        compression_type="zstd",
        max_request_size=2 * cut,
        max_batch_size=1_000_000,
    ) as producer:
        for value in (bytes(whole), bytes(cut), incompressible):
            await producer.send_and_wait(settings.readings_topic, value, b"phone", partition=0)
    await publish(settings, ten_seconds("phone"))

    await run_to_end(settings)

    letters = await read_topic(settings, settings.dlq_topic)
    assert [letter.value for letter in letters] == [bytes(whole), bytes(KEPT_BYTES), incompressible]
    assert [CUT in dict(letter.headers) for letter in letters] == [False, True, False]
    assert {dict(letter.headers)[REASON] for letter in letters} == {b"malformed"}
    assert len(await read_events(settings)) in WINDOWS_OF_10_S

    # They go back as they came, but for the one of which only the beginning was kept.
    assert await put_back(settings, Selection()) == 2
    readings = await read_topic(settings, settings.readings_topic)
    assert [record.value for record in readings[-2:]] == [bytes(whole), incompressible]
