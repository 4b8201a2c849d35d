"""Makes a sorting network that moves extremes and quartiles of columns into their sorted places."""

from functools import cache

import numpy as np

from streamer.arrays import Ints


@cache
def quantile_network(length: int) -> Ints:
    """Return the exchanges that move extremes and quartiles to their places in the sorted order.

    This is Batcher's merge exchange (Knuth, "The Art of Computer Programming", 5.2.2, algorithm M)
    without the exchanges that do not affect extremes and quartiles.

    Args:
        length: number of rows to sort; a power of two.

    Returns:
        (exchanges, 3) i, j, n: for each k below n, rows i + k and j + k are exchanged where row
        j + k is less.
    """
    layers = []
    p = length // 2
    while p:
        q, r, d = length // 2, 0, p
        while d:
            layers.append([(i, i + d) for i in range(length - d) if i & p == r])
            d, q, r = max(0, q - p), q // 2, p
        p //= 2
    quarter = length // 4
    needed = {0, quarter - 1, quarter, 3 * quarter - 1, 3 * quarter, length - 1}
    runs: list[list[int]] = []
    for layer in reversed(layers):
        layer_runs: list[list[int]] = []
        for i, j in [pair for pair in layer if not needed.isdisjoint(pair)]:
            needed |= {i, j}
            if layer_runs and sum(layer_runs[-1][::2]) == i:
                layer_runs[-1][2] += 1
            else:
                layer_runs.append([i, j, 1])
        runs = layer_runs + runs
    return np.array(runs, np.int64)
