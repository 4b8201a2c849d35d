"""A worker takes another model while it runs, if the file holds one that it can use."""

import asyncio
import os
import shutil
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import botocore.session
import numpy as np
import pytest
from structlog.testing import capture_logs

from streamer.arrays import Floats
from streamer.features import UCI_HAR
from streamer.features.feature_set import ROTATION
from streamer.health import Health
from streamer.metrics import Metrics
from streamer.model import artifact
from streamer.model.artifact import ACC_MODEL, DEFAULT_MODEL, WAIST_MODEL
from streamer.model.identity import ModelIdentity
from streamer.model.registry import Registry
from streamer.predict.answers import Answers
from streamer.predict.models import LoadedModels, Models
from streamer.predict.open_models import open_models
from streamer.predict.serving import Serving, name_models
from streamer.settings import Settings
from tests.support.models import no_disagreements, save_renamed
from tests.support.processes import PATIENCE_S
from tests.support.s3_server import BUCKET, S3Server


class Worker:
    """The models of a worker with model files of its own, and what the worker shows."""

    def __init__(self, folder: Path) -> None:
        self.model, self.without_gyroscope = folder / "mine.npz", folder / "mine-acc.npz"
        shutil.copy(DEFAULT_MODEL, self.model)
        shutil.copy(ACC_MODEL, self.without_gyroscope)
        self.metrics, self.health = Metrics(), Health(lambda: 0.0)
        self.settings = Settings.load(
            {
                "model": self.model,
                "model_without_gyroscope": self.without_gyroscope,
                "model_check_s": 3600,
            }
        )
        self.models: Models

    @property
    def serving(self) -> Serving:
        return self.models.serving

    def changes(self, outcome: str) -> float:
        name = "streamer_model_changes_total"
        return self.metrics.registry.get_sample_value(name, {"outcome": outcome}) or 0.0

    async def ids(self) -> set[str]:
        """The models that answer for a window with a gyroscope and for one without."""
        windows = np.repeat(artifact.load(DEFAULT_MODEL).profile.deciles[None, :, 4], 2, axis=0)
        windows[1, list(ROTATION)] = np.nan
        return {each.prediction.model.id for each in (await self.serving.ask(windows)).scored}


@pytest.fixture
async def worker(tmp_path: Path) -> AsyncIterator[Worker]:
    made = Worker(tmp_path)
    opened = open_models(made.settings, made.metrics, made.health, no_disagreements)
    async with opened as made.models:
        yield made


async def test_another_model_in_the_file_serves_from_the_next_look_on(worker: Worker) -> None:
    before = worker.serving
    await worker.models.look()
    assert worker.serving is before

    save_renamed(DEFAULT_MODEL, worker.model, "next")
    await worker.models.look()

    assert worker.serving.name.startswith("next@")
    assert before.is_first
    assert not worker.serving.is_first
    assert await worker.ids() == {"next", "har-acc"}
    assert (worker.changes("taken"), worker.changes("refused")) == (1, 0)


async def test_another_model_for_devices_without_a_gyroscope_is_a_change_too(
    worker: Worker,
) -> None:
    save_renamed(ACC_MODEL, worker.without_gyroscope, "next-acc")
    await worker.models.look()
    assert "+next-acc@" in worker.serving.name
    assert await worker.ids() == {"har", "next-acc"}


async def test_a_file_that_is_written_again_with_the_same_model_is_no_change(
    worker: Worker,
) -> None:
    before = worker.serving
    os.utime(worker.model, (1, 1))
    await worker.models.look()
    assert worker.serving is before
    assert worker.changes("taken") == 0


@pytest.mark.parametrize("fault", ["cut off", "removed", "not a model", "other features"])
async def test_a_file_that_cannot_be_used_is_refused_and_the_model_goes_on(
    worker: Worker, fault: str
) -> None:
    before = worker.serving
    content = worker.model.read_bytes()
    match fault:
        case "cut off":
            worker.model.write_bytes(content[:100_000])
        case "removed":
            worker.model.unlink()
        case "not a model":
            worker.model.write_bytes(b"[1, 2, 3]")
        case _:
            # A worker computes the features of the models with which it has started.
            worker.without_gyroscope.unlink()
            shutil.copy(WAIST_MODEL, worker.model)

    with capture_logs() as lines:
        await worker.models.look()
        await worker.models.look()

    assert [line["log_level"] for line in lines] == ["error"], "it is told once"
    paths = str(worker.model), str(worker.without_gyroscope)
    assert any(path in lines[0]["reason"] for path in paths)
    assert worker.serving is before
    assert worker.changes("refused") == 1
    trouble = worker.health.trouble()
    assert trouble is not None
    assert before.name in trouble

    worker.model.write_bytes(content)
    shutil.copy(ACC_MODEL, worker.without_gyroscope)
    await worker.models.look()
    assert worker.health.trouble() is None
    assert worker.serving is before


async def test_a_version_that_the_registry_cannot_give_now_is_told_once_and_taken_later(
    tmp_path: Path,
) -> None:
    #  registry   first   second promoted, not readable   readable
    #  look       -       first goes on, first goes on    second
    location = tmp_path / "registry"
    registry = Registry.open(str(location))
    first, second = (
        add_renamed(registry, tmp_path / f"{name}.npz") for name in ("first", "second")
    )
    registry.promote(first)
    settings = Settings.load({"model_registry": str(location), "model_check_s": 3600})
    metrics, health = Metrics(), Health(lambda: 0.0)
    async with open_models(settings, metrics, health, no_disagreements) as models:
        registry.promote(second)
        content = location / "versions" / second / "model.npz"
        content.rename(tmp_path / "kept")
        content.mkdir()  # It cannot be read as a file.
        with capture_logs() as lines:
            await models.look()
            await models.look()
        assert [line["log_level"] for line in lines] == ["error"]
        assert models.serving.name.startswith("first@")

        content.rmdir()
        (tmp_path / "kept").rename(content)
        await models.look()
        assert models.serving.name.startswith("second@")
        assert health.trouble() is None


def add_renamed(registry: Registry, path: Path) -> str:
    save_renamed(WAIST_MODEL, path, path.stem)
    model = artifact.load(path)
    return registry.add(model, data={}, figures={}, parent=None, note="").id


async def test_looks_at_a_registry_in_a_bucket_use_one_client_of_the_sdk(
    s3: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    location = f"s3://{BUCKET}/registry"
    registry = Registry.open(location)
    registry.promote(add_renamed(registry, tmp_path / "first.npz"))
    sessions = []

    def open_session() -> botocore.session.Session:
        sessions.append(botocore.session.Session())
        return sessions[-1]

    settings = Settings.load({"model_registry": location, "model_check_s": 3600})
    async with open_models(settings, Metrics(), Health(lambda: 0.0), no_disagreements) as models:
        monkeypatch.setattr(botocore.session, "get_session", open_session)
        for _ in range(3):
            await models.look()
        assert not sessions
        registry.promote(add_renamed(registry, tmp_path / "second.npz"))
        await models.look()
        assert models.serving.name.startswith("second@")


async def test_a_look_that_is_cancelled_while_it_loads_leaves_the_models_to_the_next_look() -> None:
    loading, may_load = threading.Event(), threading.Event()
    names = ["first"]

    def load() -> LoadedModels:
        if len(names) > 1:
            loading.set()
            may_load.wait(PATIENCE_S)
        return LoadedModels(Serving(names[-1], ask_nobody), UCI_HAR)

    models = Models(load, Metrics(), Health(lambda: 0.0), lambda: names[-1])
    names.append("second")
    look = asyncio.create_task(models.look())
    await asyncio.to_thread(loading.wait, PATIENCE_S)
    look.cancel()
    may_load.set()
    with pytest.raises(asyncio.CancelledError):
        await look
    await models.look()
    assert models.serving.name == "second"


async def ask_nobody(_: Floats) -> Answers:
    raise NotImplementedError


async def test_a_model_with_other_features_needs_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "mine.npz"
    shutil.copy(WAIST_MODEL, path)
    health = Health(lambda: 0.0)
    settings = Settings.load({"model": path, "model_check_s": 3600})
    async with open_models(settings, Metrics(), health, no_disagreements) as models:
        shutil.copy(DEFAULT_MODEL, path)
        await models.look()
        assert models.serving.name.startswith("waist@")
        assert "restart the workers" in (health.trouble() or "")


async def test_a_worker_notices_a_changed_file_by_itself(tmp_path: Path) -> None:
    path = tmp_path / "mine.npz"
    shutil.copy(WAIST_MODEL, path)
    settings = Settings.load({"model": path, "model_check_s": 0.01})
    health = Health(lambda: 0.0)
    async with open_models(settings, Metrics(), health, no_disagreements) as models:
        before = models.serving
        save_renamed(WAIST_MODEL, path, "next")
        await until_changed(models, before)
        assert models.serving.name.startswith("next@")


async def until_changed(models: Models, before: Serving) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while models.serving is before:  # noqa: ASYNC110 - by a task that tells nobody
            await asyncio.sleep(0.01)


def test_names_of_models_have_neither_separators_nor_any_length() -> None:
    strange = ModelIdentity("a;b c@d+e" * 1000, "1;2", ("x",), ("x",))
    name = name_models([strange, strange])
    assert not set(";, ") & set(name)
    assert name.count("@") == 2
    assert name.count("+") == 1
    assert len(name) < 1000
