from dataclasses import replace

import numpy as np
import pytest

from streamer.datasets.recording import Recording, Segment
from streamer.training.variation import VARIATIONS, Variation, vary

WALK = "walking"


def record_noise(samples: int, *segments: Segment) -> Recording:
    noise = np.random.default_rng(5).normal(size=(samples, 6))
    return Recording("exp01_user01", "1", noise, segments)


def test_a_copy_is_turned_as_a_whole() -> None:
    original = record_noise(2000)
    turned = Variation(turn_degrees=12, gain=0.08, warp=0)
    copy = vary(original, turned, np.random.default_rng(8))

    gains = [
        np.linalg.norm(copy.acc_gyro[:, sensor], axis=1)
        / np.linalg.norm(original.acc_gyro[:, sensor], axis=1)
        for sensor in (slice(0, 3), slice(3, 6))
    ]
    assert gains[1] == pytest.approx(gains[1][0])
    assert np.median(gains[0]) == pytest.approx(gains[1][0], abs=0.001)
    assert 0.92 <= gains[1][0] <= 1.08
    assert not np.allclose(copy.acc_gyro[:, 3:], original.acc_gyro[:, 3:] * gains[1][0], atol=0.01)


@pytest.mark.parametrize("variation", set(VARIATIONS))
def test_the_labels_of_a_slower_copy_are_later(variation: Variation) -> None:
    steps = np.zeros((3000, 6))
    steps[1000:2000] = 1
    original = replace(record_noise(3000, Segment(WALK, 1000, 2000)), acc_gyro=steps)
    same = replace(variation, turn_degrees=0, gain=0, noise_g=0)

    copy = vary(original, same, np.random.default_rng(3))

    [segment] = copy.segments
    inside = copy.acc_gyro[segment.start0 + 5 : segment.end0 - 5]
    outside = np.delete(copy.acc_gyro, slice(segment.start0 - 5, segment.end0 + 5), axis=0)
    assert len(copy.acc_gyro) != 3000
    assert inside.min() > 0.9
    assert outside.max() < 0.1
