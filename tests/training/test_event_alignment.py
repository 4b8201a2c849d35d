from collections import Counter

import pytest

from streamer.datasets.recording import Segment
from streamer.training.event_alignment import Alignment, PublishedLabel, ReplayedSpan, align_events

WALKING, SITTING, UNKNOWN, DOWN = "walking", "sitting", "unknown", "standing>sitting"

# samples    0        200       330          500        700
#            |  none   | walking | transition | sitting  |
SEGMENTS = {
    "a": [
        Segment(WALKING, start0=200, end0=330),
        Segment(DOWN, start0=330, end0=500),
        Segment(SITTING, start0=500, end0=700),
    ]
}
REPLAYS = {"a": [ReplayedSpan(start_ms=1_000_000, samples=700, interval_ms=20)]}


def event(window_start_ms: float, activity: str = WALKING, device_id: str = "a") -> PublishedLabel:
    return PublishedLabel(f"{device_id}/{window_start_ms}", device_id, window_start_ms, activity)


def aligned(*events: PublishedLabel) -> Alignment:
    return align_events(events, REPLAYS, SEGMENTS)


@pytest.mark.parametrize(
    ("window_start_ms", "inside"),
    [
        (1_003_980, False),  # sample 199
        (1_003_981, True),  # between samples 199 and 200: the window takes 200 .. 327
        (1_004_000, True),  # sample 200 itself
        (1_004_040, True),  # samples 202 .. 329, the last of the segment
        (1_004_041, False),  # sample 203
        (1_005_000, False),  # samples 250 .. 377: half in nothing
        (1_010_000, True),  # sample 500
        (1_013_999, False),  # the recording ends within the window
    ],
)
def test_a_window_counts_if_its_samples_lie_in_one_segment(
    window_start_ms: float, inside: bool
) -> None:
    alignment = aligned(event(window_start_ms))

    assert (len(alignment.pairs), alignment.unlabelled) == (inside, not inside)


def test_true_and_published_activities_are_paired() -> None:
    alignment = aligned(event(1_004_000, SITTING), event(1_010_000, UNKNOWN))

    assert alignment.pairs == [(WALKING, SITTING), (SITTING, UNKNOWN)]


def test_the_activity_of_a_window_alone_is_paired_when_the_event_has_it() -> None:
    smoothed = PublishedLabel("a/1", "a", 1_004_000, WALKING, activity_raw=SITTING)
    alignment = aligned(smoothed, event(1_004_020))

    assert alignment.pairs == [(WALKING, WALKING)] * 2
    assert alignment.raw_pairs == [(WALKING, SITTING)]


# Sample 300 is 30 before the movement, which then has 98 of the window's 128 samples.
def test_windows_within_movements_are_counted_by_their_published_activity() -> None:
    alignment = aligned(event(1_008_000, UNKNOWN), event(1_006_000, UNKNOWN), event(1_007_000))

    assert alignment == Alignment(movements=Counter({UNKNOWN: 2, WALKING: 1}))


def test_events_of_other_devices_are_counted_not_judged() -> None:
    assert aligned(event(1_004_000, device_id="b")) == Alignment(unknown_device=1)


@pytest.mark.parametrize("window_start_ms", [999_980, 1_014_000, 5_000_000])
def test_events_from_outside_any_replay_are_counted_not_judged(window_start_ms: float) -> None:
    assert aligned(event(window_start_ms)) == Alignment(outside_replay=1)


def test_a_window_may_start_within_a_sample_before_the_recording() -> None:
    segments = {"a": [Segment(WALKING, start0=0, end0=128)]}

    assert align_events([event(999_981)], REPLAYS, segments).pairs == [(WALKING, WALKING)]


def test_of_two_replays_the_one_that_was_running_counts() -> None:
    replays = {"a": [ReplayedSpan(1_000_000, 700, 20), ReplayedSpan(2_000_000, 700, 20)]}
    events = [event(1_004_000), event(2_004_000), event(2_010_000, SITTING), event(1_999_000)]

    assert align_events(events, replays, SEGMENTS) == Alignment(
        pairs=[(WALKING, WALKING), (WALKING, WALKING), (SITTING, SITTING)], outside_replay=1
    )


def test_a_replay_at_another_interval_is_followed() -> None:
    replays = {"a": [ReplayedSpan(1_000_000, 700, 20.5)]}

    assert align_events([event(1_004_100)], replays, SEGMENTS).pairs == [(WALKING, WALKING)]
    assert align_events([event(1_004_000)], replays, SEGMENTS).unlabelled == 1


def test_a_window_published_twice_counts_once() -> None:
    alignment = aligned(event(1_004_000), event(1_004_000, SITTING))

    assert alignment == Alignment(pairs=[(WALKING, WALKING)], repeated=1)
