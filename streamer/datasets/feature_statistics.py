"""What a table of labelled features is like, before anybody trains on it. Pure functions.

How much a feature tells of the label is the **correlation ratio** eta squared: the share of the
feature's variance that lies between the classes, from 0 (all classes have the same mean) to 1 (each
class has one value of its own). It asks for no order of the classes, as a coefficient of Pearson
would, and is that coefficient's square where there are two of them. The F-test of the analysis of
variance says whether it could be chance; it takes windows for independent, which those of one
person are not, so what is barely certain is not certain.
"""

from collections import Counter
from dataclasses import dataclass

import numpy as np
from scipy.special import fdtrc

from streamer.arrays import Bools, Floats
from streamer.datasets.feature_table import VARIABLES, FeatureTable
from streamer.features import NAMES

BINS = 24
"""Of a histogram."""
CHANCE = 0.05
"""How likely it may be that any feature at all seems to correlate by chance."""
NEGLIGIBLE = 0.01
"""Eta squared below which a correlation is none worth the name, however certain it is."""


@dataclass(frozen=True, slots=True)
class FeatureStatistics:
    """One feature; figures are of the values that are there, NaN where there are none.

    Attributes:
        variable: its name in CSV files.
        name: its published name.
        missing: values that are not there.
        invalid: values that are no finite numbers.
        quartiles: the lower one, the median, the upper one.
        counts: values in each of `BINS` equal parts of the range.
        eta2: correlation ratio with the label; NaN for a constant or one class alone.
        chance: how likely it is that labels at random correlate as much (one feature's F-test).
        best: the class whose membership correlates most; empty without any.
        best_r: coefficient of correlation (point-biserial) with that membership, -1 to 1.
    """

    variable: str
    name: str
    missing: int
    invalid: int
    least: float
    most: float
    mean: float
    deviation: float
    quartiles: tuple[float, float, float]
    counts: tuple[int, ...]
    eta2: float
    chance: float
    best: str
    best_r: float


@dataclass(frozen=True, slots=True)
class TableStatistics:
    """All of a table.

    Attributes:
        records: how many.
        classes: records of each label.
        subjects: how many people; None where the source does not say.
        features: in the order of the columns.
    """

    records: int
    classes: dict[str, int]
    subjects: int | None
    features: tuple[FeatureStatistics, ...]

    @property
    def ranked(self) -> list[FeatureStatistics]:
        """The features that can correlate, the most correlated first."""
        able = [feature for feature in self.features if np.isfinite(feature.eta2)]
        return sorted(able, key=lambda feature: -feature.eta2)

    @property
    def correlated(self) -> list[FeatureStatistics]:
        """Features of which correlation is neither chance (Bonferroni) nor negligible, ranked."""
        return [
            feature
            for feature in self.ranked
            if feature.eta2 >= NEGLIGIBLE and feature.chance * len(self.features) < CHANCE
        ]


def compute_statistics(table: FeatureTable) -> TableStatistics:
    """Compute the statistics of a table that may be incomplete."""
    classes = dict(sorted(Counter(table.labels).items(), key=_in_order))
    members = np.array([[label == one for label in table.labels] for one in classes])
    return TableStatistics(
        records=len(table),
        classes=classes,
        subjects=None if table.subjects is None else len(np.unique(table.subjects)),
        features=tuple(
            _feature(i, column, members, list(classes))
            for i, column in enumerate(np.ascontiguousarray(table.features.T))
        ),
    )


def _in_order(item: tuple[str, int]) -> tuple[int, str]:
    label = item[0]
    return (int(label) if label.isdecimal() else 0, label)


def _feature(i: int, column: Floats, members: Bools, classes: list[str]) -> FeatureStatistics:
    there = np.isfinite(column)
    values = column[there]
    missing = int(np.isnan(column).sum())
    eta2, chance, r = associate_with_classes(values, members[:, there])
    best = int(np.argmax(np.abs(r))) if np.isfinite(r).all() else None
    empty = not len(values)
    return FeatureStatistics(
        variable=VARIABLES[i],
        name=NAMES[i],
        missing=missing,
        invalid=len(column) - len(values) - missing,
        least=np.nan if empty else float(values.min()),
        most=np.nan if empty else float(values.max()),
        mean=np.nan if empty else float(values.mean()),
        deviation=np.nan if empty else float(values.std()),
        quartiles=(np.nan,) * 3 if empty else _quartiles(values),
        counts=histogram(values),
        eta2=eta2,
        chance=chance,
        best="" if best is None else classes[best],
        best_r=np.nan if best is None else float(r[best]),
    )


def _quartiles(values: Floats) -> tuple[float, float, float]:
    lower, median, upper = np.quantile(values, (0.25, 0.5, 0.75)).tolist()
    return lower, median, upper


def histogram(values: Floats) -> tuple[int, ...]:
    """Count the values (n,) in each of `BINS` equal parts of their range."""
    if not len(values):
        return (0,) * BINS
    # Not numpy.histogram, which refuses ranges as narrow as a constant's rounding errors.
    span = values.max() - values.min() or 1.0
    bins = np.minimum((values - values.min()) / span * BINS, BINS - 1).astype(np.int64)
    return tuple(np.bincount(bins, minlength=BINS).tolist())


def associate_with_classes(values: Floats, members: Bools) -> tuple[float, float, Floats]:
    """Compute how much finite values tell of classes.

    Args:
        values: (n,).
        members: (classes, n), of which class each value is.

    Returns:
        Correlation ratio; how likely labels at random have as high a one; and the coefficients of
        correlation (classes,) with being of each class. All NaN where nothing can correlate.
    """
    sizes = members.sum(axis=1)
    n, present = len(values), int((sizes > 0).sum())
    nothing = np.full(len(members), np.nan)
    if present < 2 or n <= present or values.min() == values.max():
        return np.nan, np.nan, nothing
    deviations = values - values.mean()
    # Nothing below depends on the unit, and squares of tiny numbers would be nothing.
    deviations /= np.abs(deviations).max()
    # Of each class: how far all its values together are from the mean.
    pulls = np.where(members, deviations, 0).sum(axis=1)
    total = float((deviations**2).sum())
    between = float((pulls**2 / np.maximum(sizes, 1)).sum())
    eta2 = min(between / total, 1.0)
    f = np.inf if eta2 == 1 else (eta2 / (present - 1)) / ((1 - eta2) / (n - present))
    spread = np.sqrt(total * sizes * (n - sizes) / n)
    r = np.divide(pulls, spread, out=np.zeros(len(members)), where=spread > 0)
    return eta2, float(fdtrc(present - 1, n - present, f)), np.clip(r, -1, 1)
