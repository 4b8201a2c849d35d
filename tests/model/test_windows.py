from pathlib import Path

import numpy as np
import pytest

from streamer.features import extract, scale
from streamer.features.filters import condition
from streamer.model.augment import varied
from streamer.model.evaluation import TRUTHS
from streamer.model.recordings import Recording, Segment
from streamer.model.windows import COPIES, collect, cut
from tests.model.recordings import write_raw_dir


@pytest.fixture(scope="module")
def raw_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_raw_dir(tmp_path_factory.mktemp("RawData"), users=2)


def recording(samples: int) -> Recording:
    return Recording(1, 1, np.random.default_rng(5).normal(size=(samples, 6)))


# samples   0          128         256         384         512
#           |  walking  |     (none)     |      sitting      |
# windows   [0,128) [64,192) [128,256) [192,320) [256,384) [320,448)
def test_windows_are_cut_every_hop_and_kept_within_a_segment() -> None:
    segments = [Segment(1, 1, 1, start0=0, end0=128), Segment(1, 1, 4, start0=250, end0=512)]

    windows = cut(recording(520), segments, offset=0)

    assert [TRUTHS[i] for i in windows.classes] == ["walking", "sitting", "sitting", "sitting"]


def test_windows_need_the_two_samples_after_them() -> None:
    segments = [Segment(1, 1, 1, start0=0, end0=130)]

    assert len(cut(recording(129), segments, offset=0)) == 0
    assert len(cut(recording(130), segments, offset=0)) == 1
    assert len(cut(recording(130), segments, offset=1)) == 0


def test_transitions_are_not_learned() -> None:
    assert len(cut(recording(500), [Segment(1, 1, 7, start0=0, end0=500)], offset=0)) == 0


def test_features_are_those_of_the_recording_filtered_at_rest_as_a_whole() -> None:
    whole = recording(400)
    signals = condition(whole.acc_gyro.T, start="rest")

    windows = cut(whole, [Segment(1, 1, 1, start0=100, end0=300)], offset=37)

    expected = [scale(extract(signals[None, :, start : start + 129]))[0] for start in (101, 165)]
    np.testing.assert_array_equal(windows.features, expected)


def test_leaving_a_user_out_does_not_change_the_windows_of_others(raw_dir: Path) -> None:
    everybody, second = collect(raw_dir), collect(raw_dir, exclude_users=[1])

    np.testing.assert_array_equal(
        second.features, everybody.of(np.flatnonzero(everybody.subjects == 2)).features
    )


def test_every_recording_comes_as_it_is_and_in_varied_copies(raw_dir: Path) -> None:
    windows = collect(raw_dir, users=[1])

    assert np.unique(windows.copy).tolist() == list(range(COPIES + 1))
    firsts = [windows.features[windows.copy == copy][0] for copy in range(COPIES + 1)]
    assert len(np.unique(firsts, axis=0)) == COPIES + 1


def test_another_seed_gives_other_windows(raw_dir: Path) -> None:
    one, two = collect(raw_dir, seed=1), collect(raw_dir, seed=2)

    assert not np.array_equal(one.features[0], two.features[0])


def test_a_copy_is_turned_as_a_whole() -> None:
    original = recording(2000)
    copy = varied(original, np.random.default_rng(8))

    gains = [
        np.linalg.norm(copy.acc_gyro[:, sensor], axis=1)
        / np.linalg.norm(original.acc_gyro[:, sensor], axis=1)
        for sensor in (slice(0, 3), slice(3, 6))
    ]
    assert gains[1] == pytest.approx(gains[1][0])
    assert np.median(gains[0]) == pytest.approx(gains[1][0], abs=0.001)
    assert 0.92 <= gains[1][0] <= 1.08
    assert not np.allclose(copy.acc_gyro[:, 3:], original.acc_gyro[:, 3:] * gains[1][0], atol=0.01)
