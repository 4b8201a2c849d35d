"""`streamer model update`: from stored windows and ground truth to the current version."""

import asyncio
import time
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
import pytest
from click.testing import CliRunner, Result

from streamer.arrays import Floats, Strings
from streamer.cli import main
from streamer.contracts.activities import is_movement
from streamer.contracts.ground_truth import ActivityLabel, encode_label
from streamer.datasets.labelled_windows import LabelledWindows
from streamer.kafka.client import connect
from streamer.kafka.ground_truth import make_label_producer
from streamer.kafka.topics import ensure_labels
from streamer.model.artifact import Model
from streamer.model.registry import Registry
from streamer.settings import Settings
from streamer.storage.folder import FolderStore
from streamer.storage.window_files import HOUR_MS, StoredWindows, encode_windows, name_folder
from streamer.training.learned_windows import FILE, decode_learned, encode_learned
from tests.conftest import MakeSettings

pytest.importorskip("pyarrow")
pytest.importorskip("sklearn")

HOUR = time.time_ns() // 1_000_000 // HOUR_MS - 2
START_MS = HOUR * HOUR_MS
WINDOWS = 60
"""Of each device. The person changes the activity every ten windows."""


@dataclass
class World:
    """A registry, a store of windows, and a topic of labels."""

    settings: Settings
    registry: Registry
    store: FolderStore
    model: Model
    folder: Path

    def activities(self) -> list[str]:
        return [name for name in self.model.card.activities if not is_movement(name)][:3]

    def truths(self, devices: int) -> Strings:
        names = np.array(self.activities())
        return np.tile(names[np.arange(WINDOWS) // 10 % 3], devices)

    def features(self, truths: Strings, drift: float, seed: int) -> Floats:
        """Windows that the model labels as these truths say, before the sensors drift."""
        rng = np.random.default_rng(seed)
        center = {}
        for name in self.activities():
            column = self.model.card.activities.index(name)
            drawn = rng.uniform(-0.8, 0.7, (4000, len(self.model.low)))
            center[name] = drawn[self.model.probabilities(drawn)[:, column].argmax()]
        spread = rng.normal(0, 0.01, (len(truths), len(self.model.low)))
        # Away from the class that the model knows, towards another one.
        first, second = (center[name] for name in self.activities()[:2])
        middles = np.array([center[name] for name in truths.tolist()])
        moved: Floats = middles + spread + drift * (second - first)
        return moved

    def learned(self) -> LabelledWindows:
        """What the first version has learned from: four people."""
        truths = self.truths(4)
        people = np.repeat([f"person-{i}" for i in range(4)], WINDOWS)
        return LabelledWindows(
            self.features(truths, 0, 1),
            truths,
            people,
            people,
            np.tile(np.arange(WINDOWS) * 64, 4),
            np.zeros(len(truths), np.int64),
            np.full(len(truths), "waist"),
            self.model.feature_set,
        )

    def store_windows(self, devices: int, drift: float, *, without_gyroscope: bool = False) -> None:
        """Store windows of devices, of which the last one may lack a gyroscope."""
        truths = self.truths(devices)
        features = self.features(truths, drift, 2)
        if without_gyroscope:
            features[-WINDOWS:, 5:] = np.nan
        kind = f"{self.model.feature_set.name} {self.model.feature_set.version}"
        windows = StoredWindows(
            np.repeat([f"phone-{i}" for i in range(devices)], WINDOWS),
            np.tile(START_MS + 1280 * np.arange(WINDOWS), devices),
            np.ones(len(truths)),
            np.ones(len(truths), np.bool_),
            features,
        )
        content = encode_windows(windows, kind, self.model.feature_set.names)
        self.store.write(f"{name_folder(kind, HOUR)}/00000.parquet", content)

    def label(
        self, devices: int, activities: list[str] | None = None, *, at_random: bool = False
    ) -> None:
        """Label each stretch of one activity of these devices."""
        names = activities or self.activities()
        rng = np.random.default_rng(5)
        labels = [
            ActivityLabel(
                device_id=f"phone-{i}",
                start=START_MS + 12_800 * part,
                end=START_MS + 12_800 * part + 9 * 1280 + 2560,
                activity=str(rng.choice(names)) if at_random else names[part % len(names)],
                by="anna",
            )
            for i in range(devices)
            for part in range(WINDOWS // 10)
        ]
        asyncio.run(write_labels(self.settings, labels))

    def update(self, *flags: str) -> Result:
        command = [
            *("model", "update", "--registry", str(self.folder / "registry")),
            *("--bootstrap-servers", self.settings.bootstrap_servers),
            *("--labels-topic", self.settings.labels_topic),
            *("--store-features", str(self.folder / "features")),
        ]
        return CliRunner().invoke(main, [*command, *flags])


async def write_labels(settings: Settings, labels: list[ActivityLabel]) -> None:
    async with connect(lambda: make_label_producer(settings)) as producer:
        for label in labels:
            key = label.device_id.encode()
            await producer.send(settings.labels_topic, encode_label(label), key)
        await producer.flush()


@pytest.fixture
def world(make_settings: MakeSettings, tmp_path: Path, model: Model) -> World:
    settings = make_settings(partitions=1)
    asyncio.run(ensure_labels(settings))
    registry = Registry.open(str(tmp_path / "registry"))
    found = World(settings, registry, FolderStore(tmp_path / "features"), model, tmp_path)
    data = {FILE: encode_learned(found.learned())}
    first = registry.add(model, data=data, figures={}, parent=None, note="the first one")
    registry.promote(first.id)
    return found


def test_a_model_that_learns_from_ground_truth_is_promoted_if_it_is_better(world: World) -> None:
    world.store_windows(devices=9, drift=0.6, without_gyroscope=True)
    world.label(devices=9)
    before = world.registry.current()

    tried = world.update("--dry-run")
    assert (tried.exit_code, "it would be promoted" in tried.output) == (0, True), tried.output
    assert world.registry.current() == before
    assert len(world.registry.history().versions) == 1

    done = world.update()
    assert done.exit_code == 0, done.output
    assert "60 windows of devices without a gyroscope do not count" in done.output
    after = world.registry.current()
    assert f"{after.id} is current now, in place of {before.id}" in done.output
    assert after.parent == before.id
    assert after.figures["after"] > after.figures["before"] + 0.05
    assert after.figures["known_after"] > after.figures["known_before"] - 0.01
    learned = decode_learned(world.registry.read(after, f"data/{FILE}"), world.model.feature_set)
    assert {"phone-0", "phone-7", "person-3"} <= set(learned.subjects.tolist())

    again = world.update()
    assert f"{after.id} has learned from all" in again.output
    assert world.registry.current() == after


def test_a_model_that_is_not_better_is_added_and_not_promoted(world: World) -> None:
    world.store_windows(devices=8, drift=0)
    world.label(devices=8, at_random=True)
    before = world.registry.current()

    done = world.update()

    assert done.exit_code == 0, done.output
    assert "not promoted: the gain may be chance" in done.output
    assert world.registry.current() == before
    assert len(world.registry.history().versions) == 2


def test_ground_truth_that_cannot_be_used_is_named(world: World) -> None:
    nothing = world.update()
    assert (nothing.exit_code, "has no labels; `streamer feedback`" in nothing.output) == (1, True)

    world.label(devices=1)
    no_windows = world.update()
    assert (no_windows.exit_code, "there are no windows of phone-0" in no_windows.output) == (
        1,
        True,
    )
    world.store_windows(devices=2, drift=0.6)
    world.label(devices=1, activities=["jogging"])
    unknown = world.update()
    assert (unknown.exit_code, "and there is: jogging: " in unknown.output) == (1, True)
    world.label(devices=1, activities=["walking"])
    one = world.update()
    assert (one.exit_code, "and there is: walking: 60" in one.output) == (1, True), one.output
    assert len(world.registry.history().versions) == 1


def test_without_the_data_of_the_current_version_the_error_says_what_to_give(
    world: World, model: Model
) -> None:
    card = msgspec.structs.replace(model.card, id="bare")
    bare = Model(card, model.low, model.high, model.weights, model.bias, model.deciles)
    added = world.registry.add(bare, data={}, figures={}, parent=None, note="")
    world.registry.promote(added.id)
    done = world.update()
    assert (done.exit_code, "give its recordings with --source" in done.output) == (1, True)


def test_one_person_is_judged_by_the_newest_labels(world: World) -> None:
    world.store_windows(devices=1, drift=0.6)
    world.label(devices=1)
    done = world.update()
    assert done.exit_code == 0, done.output
    assert "paired test over stretches" in done.output
    assert "newest labels" in done.output
