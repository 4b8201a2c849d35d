"""Statistics of a table of labelled features, to look at before training. Pure functions.

The **correlation ratio** eta squared measures how much a feature tells about the label: the share
of the feature's variance that lies between the classes, from 0 (all classes have the same mean) to
1 (each class has a single value). Unlike Pearson's coefficient it needs no order of the classes;
with two classes it is the square of that coefficient. The F-test of the analysis of variance gives
the probability that the correlation is chance. The test assumes independent windows. Windows of one
person are not independent, so a result near the threshold means little.
"""

from collections import Counter
from dataclasses import dataclass

import numpy as np
from scipy.special import fdtrc

from streamer.arrays import Bools, Floats
from streamer.datasets.feature_table import VARIABLES, FeatureTable
from streamer.features import NAMES

BINS = 24
"""Number of bins of a histogram."""
CHANCE = 0.05
"""Largest probability that any of the features correlates by chance."""
NEGLIGIBLE = 0.01
"""A correlation with a smaller eta squared is ignored."""


@dataclass(frozen=True, slots=True)
class FeatureStatistics:
    """Statistics of one feature. Figures are of the finite values; NaN where there are none.

    Attributes:
        variable: name in CSV files.
        name: published name.
        missing: number of missing values.
        invalid: number of values that are not finite numbers.
        quartiles: lower quartile, median, upper quartile.
        counts: numbers of values in `BINS` equal parts of the range.
        eta2: correlation ratio with the label; NaN for a constant or a single class.
        chance: probability that random labels correlate as much (F-test of this feature).
        best: the class whose membership correlates most; empty when eta2 is NaN.
        best_r: point-biserial correlation with that membership, -1 to 1.
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
    """Statistics of a table.

    Attributes:
        records: number of records.
        classes: number of records of each label.
        subjects: number of people; None when the table has no subjects.
        features: statistics of the features, in the order of the columns.
    """

    records: int
    classes: dict[str, int]
    subjects: int | None
    features: tuple[FeatureStatistics, ...]

    @property
    def ranked(self) -> list[FeatureStatistics]:
        """The features with an eta squared, the most correlated first."""
        able = [feature for feature in self.features if np.isfinite(feature.eta2)]
        return sorted(able, key=lambda feature: -feature.eta2)

    @property
    def correlated(self) -> list[FeatureStatistics]:
        """The ranked features whose correlation is neither chance (Bonferroni) nor negligible."""
        return [
            feature
            for feature in self.ranked
            if feature.eta2 >= NEGLIGIBLE and feature.chance * len(self.features) < CHANCE
        ]


def compute_statistics(table: FeatureTable) -> TableStatistics:
    """Compute the statistics of a table, which may have missing and invalid values."""
    classes = dict(sorted(Counter(table.labels).items(), key=_order_labels))
    members = np.array([[label == one for label in table.labels] for one in classes])
    return TableStatistics(
        records=len(table),
        classes=classes,
        subjects=None if table.subjects is None else len(np.unique(table.subjects)),
        features=tuple(
            _describe_feature(i, column, members, list(classes))
            for i, column in enumerate(np.ascontiguousarray(table.features.T))
        ),
    )


def _order_labels(item: tuple[str, int]) -> tuple[int, str]:
    label = item[0]
    return (int(label) if label.isdecimal() else 0, label)


def _describe_feature(
    i: int, column: Floats, members: Bools, classes: list[str]
) -> FeatureStatistics:
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
        quartiles=(np.nan,) * 3 if empty else _compute_quartiles(values),
        counts=histogram(values),
        eta2=eta2,
        chance=chance,
        best="" if best is None else classes[best],
        best_r=np.nan if best is None else float(r[best]),
    )


def _compute_quartiles(values: Floats) -> tuple[float, float, float]:
    lower, median, upper = np.quantile(values, (0.25, 0.5, 0.75)).tolist()
    return lower, median, upper


def histogram(values: Floats) -> tuple[int, ...]:
    """Count the values (n,) in each of `BINS` equal parts of their range."""
    if not len(values):
        return (0,) * BINS
    # `numpy.histogram` refuses ranges as narrow as the rounding errors of a constant.
    span = values.max() - values.min() or 1.0
    bins = np.minimum((values - values.min()) / span * BINS, BINS - 1).astype(np.int64)
    return tuple(np.bincount(bins, minlength=BINS).tolist())


def associate_with_classes(values: Floats, members: Bools) -> tuple[float, float, Floats]:
    """Compute how finite values correlate with classes.

    Args:
        values: (n,), finite.
        members: (classes, n), mask of the members of each class.

    Returns:
        The correlation ratio, the probability that random labels have as high a ratio, and the
        correlation (classes,) with the membership of each class. All NaN for a constant or a
        single class.
    """
    sizes = members.sum(axis=1)
    n, present = len(values), int((sizes > 0).sum())
    nothing = np.full(len(members), np.nan)
    if present < 2 or n <= present or values.min() == values.max():
        return np.nan, np.nan, nothing
    deviations = values - values.mean()
    # The results do not depend on the unit, and squares of tiny numbers would underflow.
    deviations /= np.abs(deviations).max()
    # The sum of the deviations of each class.
    sums = np.where(members, deviations, 0).sum(axis=1)
    total = float((deviations**2).sum())
    between = float((sums**2 / np.maximum(sizes, 1)).sum())
    eta2 = min(between / total, 1.0)
    f = np.inf if eta2 == 1 else (eta2 / (present - 1)) / ((1 - eta2) / (n - present))
    spread = np.sqrt(total * sizes * (n - sizes) / n)
    r = np.divide(sums, spread, out=np.zeros(len(members)), where=spread > 0)
    return eta2, float(fdtrc(present - 1, n - present, f)), np.clip(r, -1, 1)
