"""The filters that are written down are those that SciPy designs."""

import numpy as np
import pytest
from scipy import signal

from streamer.features.coefficients import AT_REST, FILTERED, SECTIONS, STATE_SIZE
from streamer.features.window_shape import WINDOW


@pytest.mark.parametrize(("which", "order", "cutoff_hz"), [(0, 10, 20.0), (1, 3, 0.3), (2, 2, 0.1)])
def test_coefficients_are_those_of_butterworth_low_passes(
    which: int, order: int, cutoff_hz: float
) -> None:
    designed = signal.butter(order, cutoff_hz, fs=WINDOW.rate_hz, output="sos")
    np.testing.assert_allclose(SECTIONS[which], designed, rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(AT_REST[which], signal.sosfilt_zi(designed), rtol=1e-9)


def test_a_chain_remembers_two_numbers_for_each_section_and_channel() -> None:
    assert [2 * n * len(s) for n, s in zip(FILTERED, SECTIONS, strict=True)] == [60, 12, 6]
    assert STATE_SIZE == 78
