"""What is judged of each source and place, and what is not judged."""

import numpy as np

from streamer.datasets.labelled_windows import UNLABELLED, LabelledWindows
from streamer.training.judged_parts import count_unjudged, split_by_source_and_place
from streamer.training.judgement import Judgement, judge

ACTIVITIES = ("walking", "sitting", "standing>sitting")


def judged(rows: list[tuple[str, str, str]]) -> Judgement:
    """(subject, place, truth) of windows, all of which are called walking."""
    subjects, places, truths = (np.array(column) for column in zip(*rows, strict=True))
    zeros = np.zeros(len(rows), np.int64)
    windows = LabelledWindows(
        np.zeros((len(rows), 561)), truths, subjects, subjects, zeros, zeros, places
    )
    return judge(windows, ACTIVITIES, np.tile([0.8, 0.1, 0.1], (len(rows), 1)))


ROWS = [
    ("hapt/1", "waist", "walking"),
    ("hapt/1", "waist", "sitting"),
    ("hapt/1", "waist", UNLABELLED),
    ("hapt/2", "waist", "standing>sitting"),
    ("moves/1", "pocket", "walking"),
    ("moves/1", "pocket", "walking"),
    ("moves/1", "pocket", "jogging"),
    ("moves/1", "wrist", UNLABELLED),
]


def test_parts_are_sources_at_places_that_have_something_to_judge() -> None:
    parts = split_by_source_and_place(judged(ROWS))
    assert [part.name for part in parts] == ["hapt, waist", "moves, pocket"]
    assert [part.judgement.subjects for part in parts] == [["hapt/1", "hapt/2"], ["moves/1"]]
    assert [part.judgement.window_confusion.windows for part in parts] == [2, 3]


def test_one_source_without_a_place_is_one_part() -> None:
    [part] = split_by_source_and_place(judged([("1", "", "walking"), ("2", "", "sitting")]))
    assert part.name == "all"


def test_windows_that_are_not_judged_are_counted_and_unknown_activities_are_wrong() -> None:
    judgement = judged(ROWS)
    counts = count_unjudged(judgement)
    assert (counts.windows, counts.judged, counts.movements, counts.others) == (8, 5, 1, 2)
    assert counts.unknown == {"jogging": 1}
    assert "the model does not know jogging (1 windows)" in counts.sentence
    assert judgement.window_confusion.classes["jogging"].recall == 0
