"""Models change under running workers, which are killed meanwhile; canaries fail."""

import asyncio
from pathlib import Path

import pytest

from streamer.arrays import Floats
from streamer.contracts.events import decode_event
from streamer.health import Health
from streamer.kafka import topics
from streamer.kafka.member import GroupMember
from streamer.metrics import Metrics
from streamer.model import artifact
from streamer.model.artifact import DEFAULT_MODEL, WAIST_MODEL
from streamer.predict.local_predictor import LocalPredictor
from streamer.predict.open_models import open_models
from streamer.predict.predictor import Prediction
from streamer.settings import Settings
from tests.conftest import MakeSettings
from tests.support.feeding import append, feeding
from tests.support.fleet import fleet
from tests.support.golden import compare, golden_as_decided, read_published
from tests.support.log import PARTITIONS, make_log
from tests.support.member import (
    WINDOWS_OF_10_S,
    publish,
    read_events,
    read_topic,
    ten_seconds,
    until,
)
from tests.support.models import no_disagreements, save_renamed

COMPANION = ("--model-without-gyroscope", "har-acc", "--model-check-s", "0.1")


async def test_a_worker_killed_while_its_models_change_leaves_the_bytes_of_those_that_decided(
    make_settings: MakeSettings, tmp_path: Path
) -> None:
    #   file      one ......... two ..................... three
    #   worker    |- one -------|- changes two of three partitions, killed | the next one: three
    log = make_log(100, seed=3)
    path, versions = tmp_path / "mine.npz", []
    settings = make_settings(commit_interval_ms=5)

    def write(model_id: str, favour: float) -> None:
        save_renamed(DEFAULT_MODEL, path, model_id, favour)
        versions.append(artifact.load(path))

    write("one", 1)
    with fleet(settings, tmp_path) as workers:
        async with feeding(settings) as producer:
            flags = ("--model", str(path), *COMPANION, "--instance-id", "worker")
            workers.start("worker", *flags, doom=("when models begin to decide", 6))
            await append(producer, settings.readings_topic, log, (0, 0.4))
            await until_decided(settings, "one")
            write("two", 2)
            await asyncio.to_thread(workers.says, "worker", "other models are taken")
            await append(producer, settings.readings_topic, log, (0.4, 0.8))
            assert await asyncio.to_thread(workers.wait, "worker") == -9
            write("three", 3)
            await append(producer, settings.readings_topic, log, (0.8, 1))
        flags = ("--model", str(path), *COMPANION, "--instance-id", "worker")
        await asyncio.to_thread(workers.run_to_end, *flags)

    found = await read_published(settings)
    verdict = compare(await golden_as_decided(log, settings, found, versions), found)
    assert verdict.good, verdict
    for models in await models_in_order(settings):
        assert {"one", "three"} <= set(models)
        assert models == sorted(models, key=["one", "two", "three"].index)


async def until_decided(settings: Settings, model_id: str) -> None:
    """Wait until a model has decided in all partitions."""

    async def decided() -> bool:
        found = await models_in_order(settings)
        return len(found) == PARTITIONS and all(model_id in models for models in found)

    await until(decided)


async def models_in_order(settings: Settings) -> list[list[str]]:
    """The models of each partition's events, in the order of the topic, without repetitions."""
    found: dict[int, list[str]] = {}
    for record in await read_topic(settings, settings.events_topic):
        model = decode_event(record.value or b"").model
        models = found.setdefault(record.partition, [])
        if model is not None and model.id != "har-acc" and models[-1:] != [model.id]:
            models.append(model.id)
    return list(found.values())


class FailsLater(LocalPredictor):
    """A canary that answers until it is broken."""

    is_broken = False

    def __init__(self, _: Settings) -> None:
        super().__init__(artifact.load(WAIST_MODEL))

    async def predict(self, features: Floats) -> Prediction:
        if self.is_broken:
            raise OSError("out of order")
        return await super().predict(features)


async def test_a_canary_that_fails_is_rolled_back_and_no_window_is_lost_or_published_twice(
    make_settings: MakeSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    #   canary    answers, its windows are committed | fails: the next fetch is decided without it
    settings = make_settings(
        partitions=1,
        model="waist",
        canary_predictor=f"{__name__}:FailsLater",
        canary_share=1,
        commit_interval_ms=1,
    )
    await topics.ensure(settings)
    devices = [f"phone-{i}" for i in range(2)]
    metrics, health = Metrics(), Health(lambda: 0.0)
    async with open_models(settings, metrics, health, no_disagreements) as models:
        for device in devices:
            await publish(settings, ten_seconds(device))
            member = GroupMember(
                settings,
                metrics,
                health,
                models,
                asyncio.Event(),
                feature_set=models.feature_set,
                until_end=True,
            )
            async with asyncio.timeout(240):
                await member.run()
            monkeypatch.setattr(FailsLater, "is_broken", True)
    events = [event.device_id for event in await read_events(settings)]
    assert all(events.count(device) in WINDOWS_OF_10_S for device in devices)
    assert metrics.registry.get_sample_value("streamer_canary_rollbacks_total") == 1
    assert "out of order" in (health.trouble() or "")
