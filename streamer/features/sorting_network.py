"""A sorting network that puts the extremes and the quartiles of columns into their places."""

from functools import cache

import numpy as np

from streamer.arrays import Ints


@cache
def quantile_network(length: int) -> Ints:
    """Return the exchanges that bring extremes and quartiles into their places.

    Batcher's merge exchange (Knuth, "The Art of Computer Programming", 5.2.2, algorithm M) without
    the exchanges on which these do not depend.

    Returns:
        (exchanges, 3): row i is exchanged with row j if that is less, and so are the rows after
        them, as many in all as the third number says.
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
