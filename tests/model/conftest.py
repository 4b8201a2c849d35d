import numpy as np
import pytest

from streamer.features import NAMES
from streamer.model.artifact import FEATURES, Card, LinearModel, Training
from streamer.model.evaluation import TRUTHS

TRAINING = Training(algorithm="none", seed=0, subjects=(1, 2), windows=10, copies=0, macro_f1=0.5)


def linear_model(scale: float = 1.0) -> LinearModel:
    rng = np.random.default_rng(7)
    card = Card(
        id="invented",
        feature_set=FEATURES,
        labels=tuple(activity.upper() for activity in TRUTHS),
        activities=TRUTHS,
        training=TRAINING,
    )
    weights = rng.normal(size=(len(TRUTHS), len(NAMES))) * scale
    return LinearModel(card, weights, bias=rng.normal(size=len(TRUTHS)))


@pytest.fixture(scope="session")
def model() -> LinearModel:
    return linear_model()
