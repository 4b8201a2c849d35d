"""Windows that cannot be in the units of the contract are found out and named."""

import numpy as np
import numpy.typing as npt
import pytest

from streamer.features.filters import condition
from streamer.flow.plausibility import find_doubts
from streamer.stream.accounting import Skip
from streamer.stream.windows import ClosedWindows

Floats = npt.NDArray[np.float64]


def walking() -> Floats:
    """(6, n) someone walks, in the units of the contract."""
    time = np.arange(1_000) / 50
    turns = 2 * np.pi * time * np.array([1.9, 1.9, 3.8, 0.95, 1.9, 0.95])[:, None]
    raw: Floats = (
        np.sin(turns + np.arange(6)[:, None]) * np.array([0.3, 0.3, 0.2, 1.5, 1.0, 0.8])[:, None]
    )
    raw[0] += 0.98
    raw[3:] += 0.05
    return raw


def window_of(raw: Floats, *, gyroscope: bool = True) -> ClosedWindows:
    """The last window of a recording."""
    flag = np.ones(1, np.bool_)
    signals = condition(raw, start="rest")[None, :, -129:]
    return ClosedWindows(
        ["phone-7"], np.zeros(1, np.int64), np.ones(1), flag, flag, flag & gyroscope, signals
    )


def test_values_in_the_units_of_the_contract_are_plausible() -> None:
    good, doubts = find_doubts(window_of(walking()))
    assert good.all()
    assert not doubts


@pytest.mark.parametrize(
    ("factors", "offset", "looks_like", "words"),
    [
        ((9.80665, 1), 0.0, "acceleration in m/s2", "m/s2: 9.6"),
        ((1, 57.3), 0.0, "rotation in deg/s", "degrees per second"),
        ((1, 0), 0.0, "silent gyroscope", "never changes"),
        ((1, 1), -0.98, "acceleration without gravity", "without gravity"),
        ((0, 1), 0.0, "no acceleration", "no acceleration"),
        ((30, 1), 0.0, "acceleration not in g", "not about 1 g"),
    ],
)
def test_other_units_are_named(
    factors: tuple[float, float], offset: float, looks_like: str, words: str
) -> None:
    raw = walking()
    raw[0] += offset
    raw *= np.repeat(factors, 3)[:, None]
    good, doubts = find_doubts(window_of(raw))
    assert not good.any()
    assert [(doubt.skip, doubt.looks_like) for doubt in doubts] == [(Skip.IMPLAUSIBLE, looks_like)]
    assert words in doubts[0].detail


def test_a_window_without_a_gyroscope_needs_a_model_of_acceleration_alone() -> None:
    raw = walking()
    raw[3:] = 0
    window = window_of(raw, gyroscope=False)
    good, doubts = find_doubts(window)
    assert not good.any()
    assert doubts[0].skip is Skip.NO_GYROSCOPE
    good, doubts = find_doubts(window, needs_gyroscope=False)
    assert good.all()
    assert not doubts
