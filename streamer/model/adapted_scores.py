"""The scores of a model that was adapted to a person."""

import numpy as np

from streamer.arrays import Floats


def shift_scores(scores: Floats, shifts: Floats) -> Floats:
    """Add shifts (classes,) to the logarithms of scores (n, classes).

    The classes whose shift is not 0 have the same probability together as before, the others the
    same each. The result for a row does not depend on the other rows, to the last bit.
    """
    # In C order each row is summed by itself.
    scores = np.ascontiguousarray(scores)
    shifted = shifts != 0
    changed = np.where(shifted, scores * np.exp(shifts), 0)
    before = np.where(shifted, scores, 0).sum(axis=1, keepdims=True)
    after = changed.sum(axis=1, keepdims=True)
    factor = np.divide(before, after, out=np.ones_like(after), where=after > 0)
    return np.where(shifted, changed * factor, scores)
