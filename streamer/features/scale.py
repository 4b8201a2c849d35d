"""The published scale: every feature's range over the 10,299 windows of the data set is [-1, 1]."""

import csv
from functools import cache
from importlib.resources import files

import numpy as np

from streamer.arrays import Floats


def scale(features: Floats) -> Floats:
    """Bring features (n, 561), as `extract` computes them, to the published scale.

    Values outside the range of the data set become values outside [-1, 1].
    """
    low, high = _ranges()
    scaled: Floats = features - low
    scaled *= 2
    scaled /= high - low
    scaled -= 1
    return scaled


def unscale(scaled: Floats) -> Floats:
    """Return the features (n, 561) of which these are the scaled values: the inverse of `scale`."""
    low, high = _ranges()
    features: Floats = low + (scaled + 1) * (high - low) / 2
    return features


@cache
def _ranges() -> tuple[Floats, Floats]:
    """Return the lowest and the highest value (561,) of each feature in the data set."""
    text = files(__package__).joinpath("ranges.csv").read_text(encoding="utf-8")
    rows = csv.DictReader(text.splitlines())
    low, high = np.array([(float(row["low"]), float(row["high"])) for row in rows]).T
    return low, high
