"""Reads a file of the contract's JSON readings, one a line, whatever their units are."""

from collections import defaultdict
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from streamer.arrays import Floats
from streamer.datasets.raw_recording import RawRecording, SensorSeries
from streamer.datasets.text_rows import read_lines
from streamer.errors import DataError

_MS_OF_2000, _MS_OF_2100 = 946_684_800_000.0, 4_102_444_800_000.0
_UNITS = {"s": 1e3, "us": 1e-3, "ns": 1e-6}


class _Reading(msgspec.Struct):
    device_id: str
    timestamp: float
    interval_ms: float = 20.0
    acc: Any = None
    gyro: Any = None


def read_reading_lines(path: Path) -> list[RawRecording]:
    """Read the readings of each device.

    Raises:
        DataError: a line is not a reading, or its timestamp is not in milliseconds; says which.
    """
    times: dict[str, dict[str, list[float]]] = defaultdict(lambda: {"acc": [], "gyro": []})
    values: dict[str, dict[str, list[list[float]]]] = defaultdict(lambda: {"acc": [], "gyro": []})
    for number, line in enumerate(read_lines(path), 1):
        if not line.strip():
            continue
        try:
            reading = msgspec.json.decode(line, type=_Reading)
        except msgspec.MsgspecError as error:
            raise DataError(
                f"{path}, line {number} is not a reading of the contract: {error}; other formats "
                "need a profile"
            ) from None
        _check_unit(reading.timestamp, path, number)
        for sensor, samples in (("acc", reading.acc), ("gyro", reading.gyro)):
            rows = _parse_samples(samples, path, number)
            offsets = np.arange(len(rows)) * reading.interval_ms
            times[reading.device_id][sensor] += (reading.timestamp + offsets).tolist()
            values[reading.device_id][sensor] += rows.tolist()
    found = []
    for device, sensors in times.items():
        acc, gyro = (
            SensorSeries.of(
                np.round(np.array(sensors[sensor]) * 1000).astype(np.int64),
                np.array(values[device][sensor]).reshape(-1, 3),
            )
            for sensor in ("acc", "gyro")
        )
        if not len(acc):
            raise DataError(f"{path} has no acceleration of {device}")
        found.append(RawRecording(device, device, acc, gyro if len(gyro) else None))
    return found


def _parse_samples(samples: Any, path: Path, line: int) -> Floats:
    """Return the samples (n, 3) of a sensor, none where the reading does not have it."""
    if samples is None:
        return np.empty((0, 3))
    try:
        rows = np.atleast_2d(np.array(samples, float))
    except (TypeError, ValueError):
        rows = np.empty((0, 0))
    if rows.ndim != 2 or rows.shape[1] != 3 or not np.isfinite(rows).all():
        raise DataError(f"{path}, line {line}: a sample is three finite numbers, x y z")
    return rows


def _check_unit(timestamp: float, path: Path, line: int) -> None:
    if _MS_OF_2000 <= timestamp <= _MS_OF_2100:
        return
    looks = [u for u, factor in _UNITS.items() if _MS_OF_2000 <= timestamp * factor <= _MS_OF_2100]
    hint = f"it looks like {looks[0]}" if looks else "it is not of this century"
    raise DataError(
        f"{path}, line {line}: timestamp {timestamp:.15g} is not in milliseconds since 1970; {hint}"
    )
