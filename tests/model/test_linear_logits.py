import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from streamer.arrays import Floats
from streamer.model.linear_logits import compute_logits


def logits_plainly(
    features: Floats, low: Floats, high: Floats, columns: Floats, bias: Floats
) -> Floats:
    """The same sums, feature by feature for all windows at once."""
    logits = np.tile(bias, (len(features), 1))
    for feature in range(features.shape[1]):
        clipped = np.clip(features[:, feature], low[feature], high[feature])
        logits += clipped[:, None] * columns[feature]
    return logits


@settings(deadline=None)
@given(st.integers(0, 9), st.integers(1, 30), st.integers(1, 9), st.integers(0, 2**32 - 1))
def test_compiled_logits_have_the_bits_of_their_plain_statement(
    windows: int, features: int, rows: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    low, high = np.sort(rng.normal(size=(2, features)), axis=0)
    given_ = (rng.normal(size=(windows, features)), low, high)
    weights = (rng.normal(size=(features, rows)), rng.normal(size=rows))

    np.testing.assert_array_equal(
        compute_logits(*given_, *weights), logits_plainly(*given_, *weights)
    )
