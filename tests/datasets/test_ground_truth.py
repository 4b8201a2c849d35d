"""Ground truth joined with stored windows."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from streamer.contracts.ground_truth import ActivityLabel
from streamer.datasets.ground_truth import join_labels
from streamer.storage.window_files import StoredWindows

NOW_MS = 1_763_906_400_000
KNOWN = ("walking", "sitting")


def windows_of(*places: tuple[str, int]) -> StoredWindows:
    count = len(places)
    return StoredWindows(
        np.array([device for device, _ in places], np.str_),
        np.array([start for _, start in places], np.int64),
        np.ones(count),
        np.ones(count, np.bool_),
        np.zeros((count, 3)),
    ).sorted_once()


def label(start: int, end: int, activity: str = "walking", device: str = "a") -> ActivityLabel:
    return ActivityLabel(device_id=device, start=start, end=end, activity=activity, by="anna")


def test_a_window_has_the_activity_of_the_label_in_which_it_lies_wholly() -> None:
    #  label           |1000 ............ 6000|
    #  windows     |0 .. 2560|
    #                  |1000 .. 3560|
    #                      |3440 .. 6000|
    #                        |3441 .. 6001|
    windows = windows_of(("a", 0), ("a", 1000), ("a", 3440), ("a", 3441), ("b", 3000))
    joined = join_labels(windows, [label(1000, 6000)], KNOWN, NOW_MS)
    assert joined.windows.start_ms.tolist() == [1000, 3440]
    assert joined.activities.tolist() == ["walking", "walking"]
    assert joined.unlabelled == 3


def test_where_labels_overlap_the_last_one_counts() -> None:
    #  first     |0 .......... walking .......... 20000|
    #  second              |8000 sitting 12000|
    windows = windows_of(*[("a", 1000 * i) for i in range(18)])
    joined = join_labels(windows, [label(0, 20_000), label(8000, 12_000, "sitting")], KNOWN, NOW_MS)
    said = dict(zip(joined.windows.start_ms.tolist(), joined.activities.tolist(), strict=True))
    walking = {i for i, activity in said.items() if activity == "walking"}
    assert {i for i, activity in said.items() if activity == "sitting"} == {8000, 9000}
    assert walking == {*range(0, 6000, 1000), *range(12_000, 18_000, 1000)}


def test_labels_that_cannot_be_true_and_labels_of_unknown_devices_are_named() -> None:
    labels = [label(0, 10_000, "rowing"), label(5, 5), label(0, 9000, device="c")]
    joined = join_labels(windows_of(("a", 1000)), labels, KNOWN, NOW_MS)
    assert len(joined.windows) == 0
    assert joined.unknown_devices == ["c"]
    first, second = joined.unusable
    assert "'rowing' is not known" in first
    assert "not after its start" in second


@given(st.lists(st.tuples(st.integers(0, 50_000), st.integers(1, 20_000), st.sampled_from(KNOWN))))
def test_each_window_has_the_last_label_of_every_moment_in_it(
    said: list[tuple[int, int, str]],
) -> None:
    step = 500  # every time is a multiple of this
    labels = [
        label(first // step * step, (first + lasts) // step * step + step, activity)
        for first, lasts, activity in said
    ]
    starts = list(range(0, 80_000, step))
    moments: dict[int, str] = {}
    for each in labels:
        moments.update(dict.fromkeys(range(each.start, each.end, step // 5), each.activity))
    windows = windows_of(*[("a", start) for start in starts])
    joined = join_labels(windows, labels, KNOWN, NOW_MS)
    found = dict(zip(joined.windows.start_ms.tolist(), joined.activities.tolist(), strict=True))
    for start in starts:
        inside = {moments.get(t, "") for t in range(start, start + 2560, step // 5)}
        expected = inside.pop() if len(inside) == 1 else ""
        assert found.get(start, "") == expected
