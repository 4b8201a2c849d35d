"""What is neither the data's fault nor Kafka's: nothing is skipped, and others go on."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import Executor
from contextlib import asynccontextmanager

import numpy as np
import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaConnectionError

from streamer.arrays import Floats
from streamer.contracts.events import ActivityEvent, decode_event
from streamer.errors import KafkaError, ProcessingError, RejectsError
from streamer.health import Health
from streamer.kafka import lane, member, topics
from streamer.kafka.member import GroupMember
from streamer.kafka.reader import open_reader, read_to_end
from streamer.metrics import Metrics
from streamer.model import artifact
from streamer.predict.answers import make_ask
from streamer.predict.local_predictor import LocalPredictor
from streamer.predict.predictor import Prediction
from streamer.settings import Settings
from tests.conftest import MakeSettings

START_MS = 1_763_906_400_000
SAMPLES = 500
"""Ten seconds of a device: five or six windows."""


class Brittle(LocalPredictor):
    """A model with a bug: it breaks on whatever lies still, until it is cured."""

    def __init__(self) -> None:
        super().__init__(artifact.load(artifact.SHIPPED))
        self.cured = False
        self.breaks = 0

    async def predict(self, features: Floats) -> Prediction:
        still = features[:, 3] < -0.98  # tBodyAcc-std()-X
        if still.any() and not self.cured:
            self.breaks += 1
            raise ZeroDivisionError("a bug of ours")
        return await super().predict(features)


async def publish(settings: Settings, partition: int, device_id: str, swing: float) -> None:
    t = np.arange(SAMPLES) / 50
    async with AIOKafkaProducer(bootstrap_servers=settings.bootstrap_servers) as producer:
        for i in range(SAMPLES):
            x = swing * np.sin(2 * np.pi * 2 * t[i])
            value = (
                f'{{"device_id": "{device_id}", "timestamp": {START_MS + 20 * i}, '
                f'"acc": [{x}, -0.98, 0.12], "gyro": [{x}, 0, 0]}}'
            ).encode()
            await producer.send(settings.readings_topic, value, device_id.encode(), partition)


async def published(settings: Settings) -> list[ActivityEvent]:
    async with open_reader(settings, settings.events_topic, "earliest", 10) as consumer:
        return [decode_event(record.value or b"") async for record in read_to_end(consumer)]


@asynccontextmanager
async def working(settings: Settings, predictor: LocalPredictor) -> AsyncIterator[Health]:
    health, stopping = Health(time.monotonic), asyncio.Event()
    worker = GroupMember(settings, Metrics(), health, make_ask(predictor), stopping)
    task = asyncio.create_task(worker.run())
    try:
        yield health
    finally:
        stopping.set()
        await task


async def until(condition: Callable[[], Awaitable[object]]) -> None:
    async with asyncio.timeout(30):
        while not await condition():  # noqa: ASYNC110 - of another process
            await asyncio.sleep(0.05)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lane, "RETRY_S", 0.05)


@pytest.mark.usefixtures("impatient")
async def test_a_bug_stops_its_partition_after_some_attempts_and_no_other(
    make_settings: MakeSettings,
) -> None:
    settings = make_settings(partitions=2)
    await topics.ensure(settings)
    await publish(settings, 0, "moving", swing=0.4)
    await publish(settings, 1, "still", swing=0.0)
    predictor = Brittle()
    async with working(settings, predictor) as health:

        async def broken() -> bool:
            return bool(health.broken)

        async def labelled() -> bool:
            return {"moving", "moving too"} == {e.device_id for e in await published(settings)}

        await until(broken)
        [problem] = health.broken
        assert f"no record of {settings.readings_topic}[1] from 0 on" in problem
        assert "ZeroDivisionError('a bug of ours')" in problem
        assert predictor.breaks == lane.ATTEMPTS
        assert (health.why_not_ready() or "").startswith("broken: ")
        # The other one still works: what is published now is labelled.
        await publish(settings, 0, "moving too", swing=0.4)
        await until(labelled)

    # Cured, nothing is missing.
    predictor.cured = True
    worker = GroupMember(
        settings,
        Metrics(),
        Health(time.monotonic),
        make_ask(predictor),
        asyncio.Event(),
        until_end=True,
    )
    await worker.run()
    events = await published(settings)
    assert sum(event.device_id == "still" for event in events) >= 5
    assert len({event.window_id for event in events}) == len(events)


@pytest.mark.usefixtures("impatient")
async def test_until_the_end_a_bug_is_an_error(make_settings: MakeSettings) -> None:
    settings = make_settings(partitions=1)
    await topics.ensure(settings)
    await publish(settings, 0, "still", swing=0.0)
    worker = GroupMember(
        settings,
        Metrics(),
        Health(time.monotonic),
        make_ask(Brittle()),
        asyncio.Event(),
        until_end=True,
    )
    with pytest.raises(ProcessingError, match=r"\[0\] from 0 on: ZeroDivisionError.*3 times"):
        await worker.run()
    assert await published(settings) == []


async def test_when_most_records_are_refused_the_worker_stops_before_it_dead_letters_them(
    make_settings: MakeSettings,
) -> None:
    settings = make_settings(partitions=1)
    await topics.ensure(settings)
    async with AIOKafkaProducer(bootstrap_servers=settings.bootstrap_servers) as producer:
        for _ in range(3000):
            await producer.send(settings.readings_topic, b"<reading/>", b"phone")
    worker = GroupMember(
        settings,
        Metrics(),
        Health(time.monotonic),
        make_ask(LocalPredictor(artifact.load(artifact.SHIPPED))),
        asyncio.Event(),
        until_end=True,
    )
    with pytest.raises(RejectsError, match="--max-reject-share 1"):
        await worker.run()
    async with open_reader(settings, settings.dlq_topic, "earliest", 10) as consumer:
        letters = [record async for record in read_to_end(consumer)]
    assert len(letters) < 1000


async def test_restarts_that_do_not_help_end_the_worker_with_an_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sessions = 0

    async def broken(_: GroupMember, __: Executor) -> None:
        nonlocal sessions
        sessions += 1
        if sessions == 3:
            health.progress()  # which makes it forget the two failures before
        raise KafkaConnectionError("again")

    monkeypatch.setattr(GroupMember, "_session", broken)
    monkeypatch.setattr(member, "RESTART_S", 0.001)
    health = Health(time.monotonic)
    predictor = LocalPredictor(artifact.load())
    worker = GroupMember(Settings.load({}), Metrics(), health, make_ask(predictor), asyncio.Event())
    with pytest.raises(KafkaError, match=r"started again 8 times; .*KafkaConnectionError"):
        await worker.run()
    assert sessions == 2 + member.MOST_FAILURES + 1
