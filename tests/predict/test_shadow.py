"""A shadow cannot slow down or fail the first predictor, whatever it does."""

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from importlib.resources import files

import numpy as np
import pytest
from jsonschema import Draft202012Validator

from streamer.arrays import Floats
from streamer.contracts.disagreements import Disagreement, decode_disagreement, encode_disagreement
from streamer.health import Health
from streamer.metrics import Metrics
from streamer.model import artifact
from streamer.model.artifact import WAIST_MODEL
from streamer.predict.open_models import open_models
from streamer.predict.predictor import Prediction
from streamer.predict.shadow import MOST_WAITING, Publish
from streamer.settings import Settings
from streamer.stream.windows import Window
from tests.support.processes import PATIENCE_S

MODEL = artifact.load(WAIST_MODEL)
RELEASE = threading.Event()
"""Ends the shadows that block their thread."""


class Other:
    """It gives every window its first class."""

    name = "other"

    def __init__(self, _: Settings) -> None:
        pass

    async def predict(self, features: Floats) -> Prediction:
        scores = np.zeros((len(features), len(MODEL.signature.labels)))
        scores[:, 0] = 1
        return Prediction(scores, MODEL.signature)


class Fails(Other):
    async def predict(self, features: Floats) -> Prediction:
        raise OSError("no such thing")


class Hangs(Other):
    async def predict(self, features: Floats) -> Prediction:
        await asyncio.Event().wait()
        raise AssertionError


class Blocks(Other):
    """It does not even give its own event loop back."""

    async def predict(self, features: Floats) -> Prediction:
        RELEASE.wait(PATIENCE_S)
        return await super().predict(features)


class Floods(Other):
    """It answers with much more than it was asked for."""

    async def predict(self, features: Floats) -> Prediction:
        return Prediction(np.zeros((200_000, 12)), MODEL.signature)


class CannotBeOpened(Other):
    def __init__(self, _: Settings) -> None:
        raise OSError("no such thing")


def windows(count: int) -> list[Window]:
    return [Window(f"phone-{i}", 1280 * i, 1.0, settled=True, follows=True) for i in range(count)]


FEATURES = np.random.default_rng(3).uniform(-1, 1, (64, len(MODEL.feature_set.names)))


class Worker:
    """The models of a worker with a shadow, and what the shadow publishes."""

    def __init__(self, kind: str, share: float = 1.0) -> None:
        self.metrics = Metrics()
        self.published: list[Disagreement] = []
        self.settings = Settings.load(
            {
                "model": "waist",
                "shadow_predictor": f"{__name__}:{kind}",
                "shadow_share": share,
                "predict_deadline_s": 3600,
            }
        )

    @asynccontextmanager
    async def publishing(self, _: Settings) -> AsyncIterator[Publish]:
        async def publish(found: Sequence[Disagreement]) -> None:
            self.published += found

        yield publish

    def count(self, outcome: str) -> float:
        name = "streamer_shadow_windows_total"
        return self.metrics.registry.get_sample_value(name, {"outcome": outcome}) or 0.0

    async def until(self, outcome: str, count: int) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while self.count(outcome) < count:  # noqa: ASYNC110 - of another thread
                await asyncio.sleep(0.01)


async def decide(worker: Worker, fetches: int) -> list[bytes]:
    """Ask about fetches of 64 windows; the scores."""
    health = Health(lambda: 0.0)
    opened = open_models(worker.settings, worker.metrics, health, worker.publishing)
    async with opened as models:
        found = []
        for _ in range(fetches):
            answers = await models.serving.ask_for(windows(64))(FEATURES)
            assert answers.complete is not None
            found.append(answers.complete.prediction.scores.tobytes())
        assert health.trouble() is None
        return found


@pytest.mark.parametrize("kind", ["Fails", "Hangs", "Blocks", "Floods", "CannotBeOpened"])
async def test_a_shadow_that_misbehaves_changes_no_answer_and_is_not_waited_for(kind: str) -> None:
    #   first     answers answers answers ... 64 times, while the shadow answers not once
    #   shadow    hangs ........... its room is full: the rest is dropped and counted
    worker, fetches = Worker(kind), 64
    alone = MODEL.probabilities(FEATURES).tobytes()
    RELEASE.clear()
    try:
        assert await decide(worker, fetches) == [alone] * fetches
    finally:
        RELEASE.set()
    assert worker.published == []
    if kind in {"Hangs", "Blocks"}:
        assert worker.count("dropped") == fetches * 64 - MOST_WAITING


async def test_a_shadow_that_fails_is_counted() -> None:
    worker = Worker("Fails")
    health = Health(lambda: 0.0)
    async with open_models(worker.settings, worker.metrics, health, worker.publishing) as models:
        await models.serving.ask_for(windows(64))(FEATURES)
        await worker.until("failed", 64)
    assert worker.count("compared") == 0


@pytest.mark.parametrize("share", [1.0, 0.25])
async def test_a_shadow_is_asked_about_its_share_and_disagreements_are_published(
    share: float,
) -> None:
    worker = Worker("Other", share)
    health, asked = Health(lambda: 0.0), windows(64)
    async with open_models(worker.settings, worker.metrics, health, worker.publishing) as models:
        for _ in range(4):
            await models.serving.ask_for(asked)(FEATURES)
        await worker.until("compared", int(4 * 64 * share))
        async with asyncio.timeout(PATIENCE_S):
            while len(worker.published) < len(differing(share)):  # noqa: ASYNC110
                await asyncio.sleep(0.01)
    assert worker.count("compared") == 4 * 64 * share
    assert sorted(each.window_id for each in worker.published) == sorted(differing(share))
    first = MODEL.signature.activities[0]
    value = worker.metrics.registry.get_sample_value
    agreement = "streamer_shadow_agreement_total"
    disagreed = [
        value(agreement, {"activity": activity, "agrees": "no"}) or 0
        for activity in MODEL.signature.activities
    ]
    assert disagreed[0] == 0
    assert sum(disagreed) == len(worker.published)
    for each in worker.published:
        assert (each.shadow_activity, each.shadow_confidence) == (first, 1)
        assert each.activity != first
        SCHEMA.validate(json.loads(encode_disagreement(each)))
        assert decode_disagreement(encode_disagreement(each)) == each


def differing(share: float) -> list[str]:
    """The windows of four fetches that are the shadow's and that it labels otherwise."""
    step = int(1 / share)
    rows = [row for row in range(64) if (row + 1) % step == 0]
    best = MODEL.probabilities(FEATURES).argmax(axis=1)
    asked = windows(64)
    return 4 * [f"phone-{row}/{asked[row].start_ms}" for row in rows if best[row] != 0]


CONTENT = json.loads(
    files("streamer.contracts")
    .joinpath("schemas/activity-disagreement.schema.json")
    .read_text(encoding="utf-8")
)
SCHEMA = Draft202012Validator(CONTENT)


def test_the_example_in_the_schema_fits_it() -> None:
    [example] = CONTENT["examples"]
    SCHEMA.validate(example)
    assert json.loads(encode_disagreement(decode_disagreement(json.dumps(example).encode()))) == (
        example
    )
