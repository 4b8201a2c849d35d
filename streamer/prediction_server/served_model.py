"""Loads the model that the server serves, and checks what it is asked."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from streamer.arrays import Floats
from streamer.contracts.activities import is_movement
from streamer.datasets.feature_table import VARIABLES
from streamer.errors import ModelError
from streamer.features import NAMES
from streamer.model import artifact
from streamer.model.identity import ModelIdentity
from streamer.predict.local_predictor import LocalPredictor
from streamer.predict.onnx_predictor import OnnxPredictor
from streamer.predict.predictor import Prediction, Predictor


class BadInputError(Exception):
    """A request has invalid windows; the message says which part of them."""


@dataclass(frozen=True, slots=True)
class ServedModel:
    """A model, its id and the time of its last change."""

    id: str
    predictor: Predictor
    labels: Mapping[str, str]
    """Label of each activity over Amazon ML's protocol."""
    changed: datetime
    bytes: int

    async def score(self, features: Floats) -> Prediction:
        """Score windows (n, 561) on the published scale.

        Raises:
            BadInputError: a row has another length, or numbers that are not finite.
        """
        if features.ndim != 2 or features.shape[1] != len(NAMES):
            raise BadInputError(
                f"expected rows of {len(NAMES)} features, not an array of shape {features.shape}"
            )
        bad = np.flatnonzero(~np.isfinite(features).all(axis=1))
        if len(bad):
            column = int(np.flatnonzero(~np.isfinite(features[bad[0]]))[0])
            raise BadInputError(f"row {bad[0]}: {VARIABLES[column]} is not a finite number")
        return await self.predictor.predict(features)


def load_served_model(path: Path | None, activities: Mapping[str, str]) -> ServedModel:
    """Load a model; without a path the shipped one.

    Args:
        path: a model file, ``.npz`` or ``.onnx``, or the name of a shipped model.
        activities: activity of each label: the classes of an ONNX model in the order of its
            scores, and the labels that Amazon ML's protocol gives activities.

    Raises:
        ModelError: the file cannot be used.
    """
    path = artifact.NAMED.get(str(path), path) if path else artifact.WAIST_MODEL
    if path.suffix == ".onnx":
        predictor: Predictor = OnnxPredictor(path, activities)
        name = path.stem
    else:
        model = artifact.load(path)
        predictor, name = LocalPredictor(model), model.card.id
    about = path.stat()
    labels = {activity: label for label, activity in activities.items()}
    return ServedModel(
        name, predictor, labels, datetime.fromtimestamp(int(about.st_mtime), UTC), about.st_size
    )


def find_mounted_model(folder: Path) -> Path | None:
    """Return the model file in SageMaker's folder for models; None if there is none.

    Raises:
        ModelError: the folder has several model files.
    """
    found = sorted([*folder.glob("*.npz"), *folder.glob("*.onnx")])
    if len(found) > 1:
        raise ModelError(f"{folder} has several models: {', '.join(path.name for path in found)}")
    return found[0] if found else None


def keep_activities(prediction: Prediction, labels: Mapping[str, str]) -> Prediction:
    """Return scores of the activities only, without the movements between them.

    Args:
        prediction: scores of all classes.
        labels: label of each activity; other activities keep the label of the model.
    """
    card = prediction.model
    chosen = [i for i, activity in enumerate(card.activities) if not is_movement(activity)]
    activities = tuple(card.activities[i] for i in chosen)
    names = tuple(labels.get(card.activities[i], card.labels[i]) for i in chosen)
    scores = prediction.scores
    if len(chosen) < len(card.labels):
        scores = scores[:, chosen] / scores[:, chosen].sum(axis=1, keepdims=True)
    return Prediction(scores, ModelIdentity(card.id, card.version, names, activities))
