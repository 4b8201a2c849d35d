"""Predictions with a model in ONNX format, in the process (extra `streamer[onnx]`)."""

import asyncio
import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from streamer.arrays import Floats
from streamer.errors import ModelError
from streamer.features import NAMES
from streamer.model.identity import ModelIdentity
from streamer.predict.predictor import Prediction


class OnnxPredictor:
    """Scores windows with an ONNX model.

    The model takes float32 or float64 (n, features) on the published scale and returns
    probabilities (n, classes), as the converter of scikit-learn does with ``zipmap=False``.
    """

    name = "onnx"

    def __init__(self, path: Path, activities: Mapping[str, str]) -> None:
        """Load a model.

        Args:
            path: the file.
            activities: activity of each label, in the order of the scores.

        Raises:
            ModelError: the file cannot be read, or the model takes or returns something else.
        """
        self._session = _session(path)
        content = hashlib.sha256(path.read_bytes()).hexdigest()[:12]
        self.identity = ModelIdentity(
            path.stem, content, tuple(activities), tuple(activities.values())
        )
        [self._input] = self._session.get_inputs()
        if self._input.shape[-1] not in (len(NAMES), None) and not isinstance(
            self._input.shape[-1], str
        ):
            raise ModelError(
                f"model {path} takes {self._input.shape[-1]} features, not {len(NAMES)}"
            )
        self._type = np.float64 if "double" in self._input.type else np.float32
        tables = [out.name for out in self._session.get_outputs() if len(out.shape or ()) == 2]
        if not tables:
            raise ModelError(
                f"model {path} has no output with probabilities (n, classes); export it with "
                "zipmap=False"
            )
        self._output = tables[-1]
        # Checks the model before the first window.
        self._scores(np.zeros((1, len(NAMES))))

    async def predict(self, features: Floats) -> Prediction:
        """Score windows (n, features) on the published scale; n may be 0."""
        # A large network takes long, and the event loop must send heartbeats meanwhile.
        scores = await asyncio.to_thread(self._all_scores, features)
        return Prediction(scores, self.identity)

    def _all_scores(self, features: Floats) -> Floats:
        # Row by row: in a batch the last bits of a row depend on the other rows.
        rows = [self._scores(features[i : i + 1]) for i in range(len(features))]
        return np.concatenate(rows) if rows else np.empty((0, len(self.identity.labels)))

    def _scores(self, row: Floats) -> Floats:
        [scores] = self._session.run(
            [self._output], {self._input.name: np.ascontiguousarray(row, self._type)}
        )
        if scores.shape != (1, len(self.identity.labels)):
            raise ModelError(
                f"model {self.identity.id} returns scores of shape {scores.shape} for one window; "
                f"endpoint_labels has {len(self.identity.labels)} classes"
            )
        return np.asarray(scores, np.float64)


def _session(path: Path) -> Any:
    try:
        import onnxruntime  # noqa: PLC0415 - an extra
    except ImportError:
        raise ModelError(
            f"model {path} needs onnxruntime; install the extra: pip install 'streamer[onnx]'"
        ) from None
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # noqa: BLE001 - its exceptions have no common base
        raise ModelError(f"onnxruntime cannot load model {path}: {error}") from None
