"""The logits of linear classifiers, compiled."""

import numpy as np

from streamer.arrays import Floats
from streamer.compiled import compiled_together


def compute_logits(
    features: Floats, low: Floats, high: Floats, columns: Floats, bias: Floats
) -> Floats:
    """Return the logits (n, rows) of windows (n, features).

    A matrix product of BLAS would give a window other last bits in other batches. Here each logit
    is a sum that begins with its bias and goes through the features in their order.

    Args:
        features: of the windows.
        low: (features,), the lowest values that count.
        high: (features,), the highest ones.
        columns: (features, rows), the weights, C-contiguous.
        bias: (rows,).
    """
    logits = np.empty((len(features), len(bias)))
    _add_products(np.ascontiguousarray(features), low, high, columns, bias, logits)
    return logits


@compiled_together
def _add_products(
    windows: Floats, low: Floats, high: Floats, columns: Floats, bias: Floats, logits: Floats
) -> None:
    for window in range(len(windows)):
        sums = logits[window]
        for row in range(len(bias)):
            sums[row] = bias[row]
        for feature in range(len(low)):
            value = min(max(windows[window, feature], low[feature]), high[feature])
            for row in range(len(bias)):
                sums[row] += value * columns[feature, row]
