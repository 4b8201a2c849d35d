"""Coefficients of the three recursive filters: second-order sections, and their state at rest.

| filter | Butterworth low-pass, for a sampling rate of 50 Hz |
|---|---|
| noise | order 10, cutoff 20 Hz |
| gravity | order 3, cutoff 0.3 Hz |
| drift | order 2, cutoff 0.1 Hz |

They are the results of `scipy.signal.butter` and `sosfilt_zi`; a test computes them again. They are
constants so that events do not depend on the version of SciPy. Besides, importing SciPy would take
a worker a second.
"""

from typing import Final

import numpy as np

from streamer.arrays import Floats

CHANNELS: Final = 6
"""Acceleration x y z, gyroscope x y z."""

SIGNALS: Final = 9
"""Body acceleration x y z, gravity x y z, gyroscope x y z."""

_NOISE: Final = np.array(
    [
        [0.12837301330223735, 0.2567460266044747, 0.12837301330223735],
        [1.0, 2.0, 1.0],
        [1.0, 2.0, 1.0],
        [1.0, 2.0, 1.0],
        [1.0, 2.0, 1.0],
    ]
)
_NOISE_FEEDBACK: Final = np.array(
    [
        [1.0, 1.023716668584059, 0.2653833920695206],
        [1.0, 1.0618968468751013, 0.3125766878303106],
        [1.0, 1.1429805025399007, 0.41280159809618844],
        [1.0, 1.2772114832789292, 0.5787202149760926],
        [1.0, 1.4817841285386752, 0.8315859108540888],
    ]
)
_NOISE_AT_REST: Final = np.array(
    [
        [0.09594747929446377, 0.06884208006621903],
        [0.15356620829597709, 0.10620191925654444],
        [0.2135357068292146, 0.13374658583518534],
        [0.2369201021262982, 0.11204385234871163],
        [0.17165749015180895, -0.00324340100589783],
    ]
)
_GRAVITY: Final = np.array(
    [[6.4518491290909294e-06, 1.2903698258181859e-05, 6.4518491290909294e-06], [1.0, 1.0, 0.0]]
)
_GRAVITY_FEEDBACK: Final = np.array(
    [[1.0, -0.9629940509502153, 0.0], [1.0, -1.9616121845004821, 0.9630069546484734]]
)
_GRAVITY_AT_REST: Final = np.array(
    [[0.0006909332248665686, 6.4518491290909294e-06], [0.999302614926096, -0.9630069546485616]]
)
_DRIFT: Final = np.array([[3.913020539914434e-05, 7.826041079828868e-05, 3.913020539914434e-05]])
_DRIFT_FEEDBACK: Final = np.array([[1.0, -1.9822289297925284, 0.9823854506141251]])
_DRIFT_AT_REST: Final = np.array([[0.9999608697936371, -0.9823463204077791]])

SECTIONS: Final[tuple[Floats, Floats, Floats]] = (
    np.hstack([_NOISE, _NOISE_FEEDBACK]),
    np.hstack([_GRAVITY, _GRAVITY_FEEDBACK]),
    np.hstack([_DRIFT, _DRIFT_FEEDBACK]),
)
"""Sections (sections, 6) of the noise, gravity and drift filter: b0 b1 b2 a0 a1 a2."""

AT_REST: Final[tuple[Floats, Floats, Floats]] = (_NOISE_AT_REST, _GRAVITY_AT_REST, _DRIFT_AT_REST)
"""State (sections, 2) of each filter after a long input of ones."""

FILTERED: Final = (CHANNELS, 3, 3)
"""Number of channels that each filter is applied to."""

STATE_SIZE: Final = sum(
    2 * channels * len(sections) for channels, sections in zip(FILTERED, SECTIONS, strict=True)
)
"""Numbers in the state of a chain of filters: 60 for noise, 12 for gravity, 6 for drift."""
