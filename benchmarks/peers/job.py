"""What every contestant does with a device's samples, one window at a time.

The same features and model as ours, called as somebody calls them who has a sample at hand and a
framework that gives one record after the other: a buffer a device, filtered every 64 samples.
"""

from typing import Any

import numpy as np
import orjson

from streamer.arrays import Floats
from streamer.features import compute_features
from streamer.features.filters import advance, median3, state_at_rest
from streamer.model import artifact

HOP, LENGTH = 64, 129

_MODEL = artifact.load()


class Device:
    """The last samples and signals of one device, and its filters."""

    def __init__(self) -> None:
        self._samples: list[list[float]] = []
        self._state: Floats | None = None
        self._signals = np.empty((9, 0))

    def add(self, reading: dict[str, Any]) -> dict[str, Any] | None:
        """Take a sample; an event when it completes a window."""
        self._samples.append([*reading["acc"], *reading["gyro"]])
        # The median of a sample needs the one before it and the one after.
        if len(self._samples) < HOP + 2:
            return None
        clean = median3(np.array(self._samples).T)[None]
        self._samples = self._samples[-2:]
        if self._state is None:
            self._state = state_at_rest(clean[:, :, 0])
        signals, self._state = advance(self._state, clean)
        self._signals = np.concatenate([self._signals[:, -LENGTH + HOP :], signals[0]], axis=1)
        if self._signals.shape[1] < LENGTH:
            return None
        signals = self._signals[None, :, -LENGTH:]
        features = compute_features(_MODEL.feature_set, signals)
        [scores] = _MODEL.probabilities(features)
        return {
            "device_id": reading["device_id"],
            "window_end": reading["timestamp"],
            "activity": _MODEL.card.activities[int(scores.argmax())],
            "scores": dict(zip(_MODEL.card.labels, scores.tolist(), strict=True)),
        }


class Devices:
    """All devices of a process, by name."""

    def __init__(self) -> None:
        self._devices: dict[str, Device] = {}

    def add(self, reading: dict[str, Any]) -> dict[str, Any] | None:
        """Take a sample of any device."""
        device = self._devices.get(reading["device_id"])
        if device is None:
            device = self._devices[reading["device_id"]] = Device()
        return device.add(reading)


def parse(value: bytes) -> dict[str, Any]:
    """Read a reading."""
    reading: dict[str, Any] = orjson.loads(value)
    return reading


def write(event: dict[str, Any]) -> bytes:
    """Write an event."""
    return orjson.dumps(event)
