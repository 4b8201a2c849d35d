from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest
from msgspec import UNSET

from streamer.contracts.disagreements import Disagreement
from streamer.contracts.events import FeatureSetVersion, ModelVersion
from streamer.datasets.class_names import PUBLIC_NAMES, activity_of_label
from streamer.datasets.labelled_windows import LabelledWindows
from streamer.features import NAMES, UCI_HAR
from streamer.model.artifact import DECILES, Model, load, save
from streamer.model.card import SHARES, Adaptation, Figures, ModelCard, Node, Training, Usual
from streamer.predict.shadow import Publish
from streamer.settings import Settings
from streamer.training.class_hierarchy import divide_classes
from tests.support.recordings import windows_of, write_raw_dir

LABELS = tuple(PUBLIC_NAMES.values())
ACTIVITIES = tuple(map(activity_of_label, LABELS))

TRAINING = Training(
    algorithm="none",
    data="nothing",
    seed=0,
    subjects=("1", "2"),
    windows=10,
    copies=0,
    judged=Figures(2, 0.5, None, 0.1, None),
)


@pytest.fixture(scope="session")
def model() -> Model:
    """Invented numbers for the classes of the public data set."""
    rng = np.random.default_rng(7)
    nodes = divide_classes(ACTIVITIES, UCI_HAR)
    rows = sum(len(outcomes) - 1 for outcomes in nodes)
    card = ModelCard(
        id="invented",
        feature_set=FeatureSetVersion(UCI_HAR.name, UCI_HAR.version),
        labels=LABELS,
        activities=ACTIVITIES,
        nodes=tuple(Node(outcomes, 1.5) for outcomes in nodes),
        training=TRAINING,
        usual=Usual((5, 3), (1 / 12,) * 12, (1 / SHARES,) * SHARES),
    )
    return Model(
        card,
        low=np.full(len(NAMES), -0.9),
        high=np.full(len(NAMES), 0.8),
        weights=rng.normal(size=(rows, len(NAMES))) / 10,
        bias=rng.normal(size=rows),
        deciles=np.sort(rng.uniform(-1, 1, (len(NAMES), DECILES)), axis=1),
    )


@pytest.fixture(scope="session")
def raw_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Recordings of three invented people."""
    return write_raw_dir(tmp_path_factory.mktemp("RawData"))


@pytest.fixture(scope="session")
def windows(raw_dir: Path) -> LabelledWindows:
    """Windows of these recordings and of two varied copies of each."""
    return windows_of(raw_dir)


def save_renamed(source: Path, target: Path, model_id: str, favour: float = 0) -> None:
    """Write a model with another id, which makes it another version.

    It has the scores of its source if `favour` is 0; otherwise it favours its first class.
    """
    found = load(source)
    shifts = (favour, *[0.0] * (len(found.card.labels) - 1))
    adapted = Adaptation(ModelVersion(found.card.id, found.version), ("1",), 1, shifts)
    card = msgspec.structs.replace(found.card, id=model_id, adapted=adapted if favour else UNSET)
    renamed = replace(found, card=card)
    unfinished = target.with_suffix(".unfinished")
    save(unfinished, renamed)
    unfinished.replace(target)


@asynccontextmanager
async def no_disagreements(_: Settings) -> AsyncIterator[Publish]:
    """Publish disagreements nowhere."""

    async def publish(_: Sequence[Disagreement]) -> None:
        pass

    yield publish
