from pathlib import Path

import numpy as np
import pytest

from streamer.datasets.labelled_windows import (
    UNLABELLED,
    cut_recording,
    cut_recordings,
    true_activity,
)
from streamer.datasets.public_recordings import read_labelled_recordings
from streamer.datasets.recording import Recording, Segment
from streamer.errors import DataError
from streamer.features import extract, scale
from streamer.features.filters import condition
from tests.support.recordings import two_copies, write_raw_dir

WALK, SIT, DOWN = "walking", "sitting", "standing>sitting"


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_raw_dir(tmp_path_factory.mktemp("RawData"), users=2)


def record_noise(samples: int, *segments: Segment) -> Recording:
    noise = np.random.default_rng(5).normal(size=(samples, 6))
    return Recording("exp01_user01", "1", noise, segments)


# samples   0          128         256         384         512
#           |  walking  |     (none)     |      sitting      |
# windows   [0,128) [64,192) [128,256) [192,320) [256,384) [320,448)
def test_windows_are_cut_every_hop() -> None:
    windows = cut_recording(
        record_noise(520, Segment(WALK, 0, 128), Segment(SIT, 250, 512)), offset=0
    )

    assert windows.starts.tolist() == [0, 64, 128, 192, 256, 320, 384]
    assert windows.truths.tolist() == [WALK, *[UNLABELLED] * 3, SIT, SIT, SIT]


def test_windows_need_the_two_samples_after_them() -> None:
    assert len(cut_recording(record_noise(129), offset=0)) == 0
    assert len(cut_recording(record_noise(130), offset=0)) == 1
    assert len(cut_recording(record_noise(130), offset=1)) == 0


# samples   0         100                    200         330
#           | walking |   standing>sitting    |  sitting  |
@pytest.mark.parametrize(
    ("first", "expected"),
    [(0, UNLABELLED), (35, UNLABELLED), (36, DOWN), (136, DOWN), (137, UNLABELLED), (200, SIT)],
)
def test_half_a_window_makes_a_movement_and_a_whole_one_an_activity(
    first: int, expected: str
) -> None:
    segments = [Segment(WALK, 0, 100), Segment(DOWN, 100, 200), Segment(SIT, 200, 330)]

    assert true_activity(first, segments) == expected


def test_features_are_those_of_the_recording_filtered_at_rest_as_a_whole() -> None:
    whole = record_noise(400)
    signals = condition(whole.acc_gyro.T, start="rest")

    windows = cut_recording(whole, offset=37)

    expected = [scale(extract(signals[None, :, start : start + 129]))[0] for start in (37, 101)]
    np.testing.assert_array_equal(windows.features[:2], expected)


def test_leaving_a_user_out_does_not_change_the_windows_of_others(two: Path) -> None:
    everybody = cut_recordings(read_labelled_recordings(two), make_copies=two_copies)
    second = cut_recordings(
        read_labelled_recordings(two), make_copies=two_copies, exclude_users=["1"]
    )

    np.testing.assert_array_equal(second.features, everybody.of(everybody.subjects == "2").features)


def test_every_recording_comes_as_it_is_and_in_varied_copies(two: Path) -> None:
    windows = cut_recordings(read_labelled_recordings(two), users=["1"], make_copies=two_copies)

    assert np.unique(windows.copies).tolist() == [0, 1, 2]
    firsts = [windows.features[windows.copies == copy][0] for copy in range(3)]
    assert len(np.unique(firsts, axis=0)) == 3
    assert (windows.truths[windows.copies > 0] != UNLABELLED).all()


def test_another_seed_gives_other_windows(two: Path) -> None:
    one, two_ = (cut_recordings(read_labelled_recordings(two), seed=seed) for seed in (1, 2))

    assert not np.array_equal(one.features[0], two_.features[0])


def test_a_user_that_is_not_there_is_refused(two: Path) -> None:
    with pytest.raises(DataError, match="there is no user 8, 9; there are 1, 2"):
        cut_recordings(read_labelled_recordings(two), users=["1", "9"], exclude_users=["8"])


def test_leaving_out_all_users_is_an_error(two: Path) -> None:
    with pytest.raises(DataError, match="no recordings are left"):
        cut_recordings(read_labelled_recordings(two), exclude_users=["1", "2"])
