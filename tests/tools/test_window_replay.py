"""`streamer dlq predict` on a real Kafka, with a real prediction server."""

import asyncio

import msgspec
import numpy as np
from aiokafka import AIOKafkaProducer
from click.testing import CliRunner, Result

from streamer.arrays import Floats
from streamer.cli import main
from streamer.contracts.dead_letters import (
    REFUSED,
    WindowLetter,
    make_dead_letter_headers,
    make_window_letter,
)
from streamer.contracts.events import ActivityEvent, decode_event
from streamer.contracts.records import OneRecord
from streamer.kafka import topics
from streamer.kafka.reader import open_reader, read_to_end
from streamer.model import artifact
from streamer.settings import Settings
from tests.conftest import MakeSettings
from tests.support.endpoint import Serve

START_MS = 1_700_000_000_000


async def refuse(settings: Settings, features: Floats) -> None:
    """Write letters of refused windows as a worker does, and one of an older version."""
    await topics.ensure(settings)
    records = [
        make_window_letter(
            WindowLetter(f"a/{START_MS + i}", "a", row, START_MS + i, 0.9, settled=True), offset=i
        )
        for i, row in enumerate(features.tolist())
    ]
    old = msgspec.json.encode({"window_id": "b/7", "device_id": "b", "features": [0.0] * 561})
    records.append(OneRecord(b"b", old, [], 0, 99))
    async with AIOKafkaProducer(bootstrap_servers=settings.bootstrap_servers) as producer:
        for record in records:
            said = make_dead_letter_headers(record, settings.readings_topic, 1, REFUSED, "no")
            await producer.send_and_wait(
                settings.dlq_topic, record.value, record.key, 1, headers=said
            )


async def predict(settings: Settings, *arguments: str) -> Result:
    flags = [
        *("--bootstrap-servers", settings.bootstrap_servers, "--yes"),
        *("--readings-topic", settings.readings_topic, "--dlq-topic", settings.dlq_topic),
        *("--events-topic", settings.events_topic, "--predictor", "sagemaker"),
        *("--endpoint", "waist", "--endpoint-format", "npy"),
    ]
    return await asyncio.to_thread(CliRunner().invoke, main, ["dlq", "predict", *flags, *arguments])


async def published(settings: Settings) -> list[tuple[int, ActivityEvent]]:
    async with open_reader(settings, settings.events_topic, "earliest", 10) as consumer:
        return [(r.partition, decode_event(r.value or b"")) async for r in read_to_end(consumer)]


async def test_refused_windows_get_their_events_once_when_the_endpoint_is_mended(
    make_settings: MakeSettings, serve: Serve, features: Floats
) -> None:
    settings = make_settings(partitions=2)
    await refuse(settings, features[:5])
    async with serve("refuse"):
        down = await predict(settings, "--when-down", "unavailable", "--predict-deadline-s", "0.2")
    assert "published 0 events" in down.output, down.output
    assert "no answer: 5" in down.output
    assert await published(settings) == []

    async with serve():
        first = await predict(settings)
        second = await predict(settings)
    assert "published 5 events" in first.output, first.output
    assert "cannot be read: 1" in first.output
    assert "published 0 events" in second.output
    events = await published(settings)
    assert [partition for partition, _ in events] == [1] * 5
    assert [event.window_id for _, event in events] == [f"a/{START_MS + i}" for i in range(5)]
    scores = np.array([list(event.scores.values()) for _, event in events])
    expected = artifact.load(artifact.WAIST_MODEL).probabilities(features[:5])
    np.testing.assert_allclose(scores, expected, atol=1e-6)
    assert {(event.coverage, event.settled) for _, event in events} == {(0.9, True)}
    # A worker that recovers must not continue from them: it would not have, without a crash.
    assert all(event.posterior == {} for _, event in events)
