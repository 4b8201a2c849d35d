"""How strange the movement in a window is to a model: its distance from what the model has learned.

Only windows of steady movement count, such as walking. A device that lies still looks alike at all
places, and a change of posture looks different each time. The distance is that of Mahalanobis, from
the nearest class at one place, with the covariance within these classes. 1 is the limit: almost all
windows of people who were left out of training are below it.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Final, Self

import numpy as np

from streamer.arrays import Bools, Floats, Ints
from streamer.compiled import compiled
from streamer.errors import ModelError
from streamer.features import FeatureSet, express

MOVING_JERK: Final = 0.08
"""Mean size of the jerk from which on a window counts as movement, in g per sample."""
STEADY_GRAVITY: Final = 0.08
"""Standard deviation of each component of gravity below which a window is steady, in g."""
DECIMALS: Final = 6
_JERK: Final = "tBodyAccJerkMag-mean()"
_GRAVITY: Final = tuple(f"tGravityAcc-std()-{axis}" for axis in "XYZ")
MEMBERS: Final = ("columns", "bounds", "whitening", "centres")


@dataclass(frozen=True, eq=False)
class Familiarity:
    """What a model has learned of movement.

    Attributes:
        feature_set: the features of the model.
        columns: (m,), the features that count, by position.
        bounds: (2, m), smallest and largest value of each; what is beyond counts as the bound.
        whitening: (m, m): ``features @ whitening`` is where a window is, in units of the limit.
        centres: (k, m), where the mean of each class at each place is.
    """

    feature_set: FeatureSet
    columns: Ints
    bounds: Floats
    whitening: Floats
    centres: Floats

    @classmethod
    def of(cls, feature_set: FeatureSet, arrays: dict[str, Floats]) -> Self:
        """Make it from the arrays of a model file, by the names in `MEMBERS`.

        Raises:
            ModelError: the shapes do not fit together, or a column is no feature.
        """
        columns = arrays["columns"]
        count = columns.size
        shapes = {name: array.shape for name, array in arrays.items()}
        centres = shapes["centres"][:1] if len(shapes["centres"]) == 2 else (0,)
        wanted = {
            "columns": (count,),
            "bounds": (2, count),
            "whitening": (count, count),
            "centres": (*centres, count),
        }
        if shapes != wanted or not count or not centres[0]:
            raise ModelError(f"the shapes of its arrays familiarity_* do not fit: {shapes}")
        if not np.isin(columns, np.arange(len(feature_set.names))).all():
            raise ModelError("familiarity_columns.npy has features that do not exist")
        # Copies, because arrays that cannot be written to are another type to the compiler.
        others = [np.array(arrays[name]) for name in MEMBERS[1:]]
        return cls(feature_set, columns.astype(np.int64), *others)

    @property
    def arrays(self) -> dict[str, Floats]:
        """The arrays of the model file, by the names in `MEMBERS`."""
        return {name: np.asarray(getattr(self, name), np.float64) for name in MEMBERS}

    def measure(self, features: Floats) -> Floats:
        """Return the strangeness (n,) of windows (n, features): above 1 it is strange.

        It is NaN for windows without steady movement. The result for a row does not depend on the
        other rows, to the last bit.
        """
        found = np.empty(len(features))
        _measure(
            np.ascontiguousarray(features),
            *self._gate,
            self.columns,
            self.bounds,
            self.whitening,
            self._centres_by_feature,
            found,
        )
        # Rounded, so that the last bits of a sum cannot decide.
        return np.round(found, DECIMALS)

    @cached_property
    def _centres_by_feature(self) -> Floats:
        return np.ascontiguousarray(self.centres.T)

    @cached_property
    def _gate(self) -> tuple[Ints, Floats]:
        return _find_gate(self.feature_set)


def show_steady_movement(feature_set: FeatureSet, features: Floats) -> Bools:
    """Return for each window (n, features) whether it shows steady movement."""
    columns, limits = _find_gate(feature_set)
    moves: Bools = features[:, columns[0]] > limits[0]
    moves &= np.all(features[:, columns[1:]] < limits[1:], axis=1)
    return moves


def _find_gate(feature_set: FeatureSet) -> tuple[Ints, Floats]:
    """Return the columns of the jerk and of the deviations of gravity, and the limit of each."""
    bounds = {_JERK: MOVING_JERK} | dict.fromkeys(_GRAVITY, STEADY_GRAVITY)
    columns = [feature_set.names.index(name) for name in bounds]
    limits = [express(feature_set, name, value) for name, value in bounds.items()]
    return np.array(columns, np.int64), np.array(limits)


@compiled
def _measure(
    features: Floats,
    gate: Ints,
    limits: Floats,
    columns: Ints,
    bounds: Floats,
    whitening: Floats,
    centres: Floats,
    found: Floats,
) -> None:
    count = len(columns)
    white = np.empty(count)
    distances = np.empty(centres.shape[1])
    # The inner loops run over whole rows: they are vectorized, and still add in this order.
    for window in range(len(features)):
        row = features[window]
        steady = row[gate[0]] > limits[0]
        for i in range(1, len(gate)):
            steady &= row[gate[i]] < limits[i]
        if not steady:
            found[window] = np.nan
            continue
        white[:] = 0
        for i in range(count):
            value = min(max(row[columns[i]], bounds[0, i]), bounds[1, i])
            for j in range(count):
                white[j] += value * whitening[i, j]
        distances[:] = 0
        for j in range(count):
            for k in range(len(distances)):
                apart = white[j] - centres[j, k]
                distances[k] += apart * apart
        found[window] = distances.min()
