"""Segments: stretches of windows with the same published activity."""

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from streamer.contracts.events import ActivityEvent, Reason
from streamer.contracts.segments import (
    HOP_MS,
    SEGMENT_HEADER,
    ActivitySegment,
    OpenSegment,
    PublishedEvent,
    decode_current,
    decode_segment,
    encode_current,
    encode_segment,
)
from streamer.labels.segments import SegmentChanges, Segments
from streamer.stream.windows import Window
from tests.support.events import WALK

START_MS = WALK.window_start


def window(hop: int, *, follows: bool = True, device_id: str = "phone") -> Window:
    return Window(device_id, START_MS + hop * HOP_MS, 1.0, settled=True, follows=follows)


def event(
    window: Window,
    activity: str = "walking",
    confidence: float | None = 0.9,
    reason: Reason | None = None,
) -> ActivityEvent:
    return msgspec.structs.replace(
        WALK,
        window_id=f"{window.device_id}/{window.start_ms}",
        device_id=window.device_id,
        window_start=window.start_ms,
        activity=activity,
        confidence=confidence,
        reason=reason,
    )


def shape(segment: ActivitySegment) -> tuple[str, int, int]:
    """Activity, first hop and hop after the last one."""
    start, end = segment.segment_start - START_MS, segment.segment_end - START_MS
    return segment.activity, start // HOP_MS, end // HOP_MS


def take(segments: Segments, *labels: tuple[Window, str]) -> SegmentChanges:
    windows = [window for window, _ in labels]
    return segments.update(windows, (), [event(*label) for label in labels], [])


# window      0    1    2    3
# activity    sit  sit  walk walk
# segments    |---------|-------> open
def test_a_segment_ends_where_another_activity_begins() -> None:
    segments = Segments()
    changes = take(
        segments,
        (window(0, follows=False), "sitting"),
        (window(1), "sitting"),
        (window(2), "walking"),
        (window(3), "walking"),
    )
    assert [shape(each) for each in changes.closed] == [("sitting", 0, 2)]
    assert changes.closed[0].windows == 2
    assert [(key, now and now.activity) for key, now in changes.current] == [
        ("phone", "sitting"),
        ("phone", "walking"),
    ]


# window      0    1    .    3        a window between is missing
# segments    |---------|    |---> open
def test_a_segment_ends_before_a_window_that_is_missing() -> None:
    changes = take(
        Segments(),
        (window(0, follows=False), "walking"),
        (window(1), "walking"),
        (window(3), "walking"),
    )
    assert [shape(each) for each in changes.closed] == [("walking", 0, 2)]
    assert [now and now.since for _, now in changes.current] == [
        START_MS,
        None,
        START_MS + 3 * HOP_MS,
    ]


def test_a_segment_ends_where_a_new_life_of_the_device_begins() -> None:
    changes = take(
        Segments(), (window(0, follows=False), "walking"), (window(1, follows=False), "walking")
    )
    assert [shape(each) for each in changes.closed] == [("walking", 0, 1)]


def test_a_refused_window_ends_the_segment_at_once() -> None:
    segments = Segments()
    take(segments, (window(0, follows=False), "walking"))
    refused = segments.update([window(1)], {0}, [], [])
    assert [shape(each) for each in refused.closed] == [("walking", 0, 1)]
    assert refused.current == [("phone", None)]
    assert take(segments, (window(2), "walking")).closed == []


def test_a_device_that_is_forgotten_or_flushed_has_no_open_segment() -> None:
    segments = Segments()
    take(segments, (window(0, follows=False), "walking"))
    ended = segments.update([], (), [], ["other", "phone"])
    assert [shape(each) for each in ended.closed] == [("walking", 0, 1)]
    assert segments.update([], (), [], ["phone"]) == SegmentChanges()


def test_unknown_windows_make_one_segment_for_each_reason() -> None:
    windows = [window(hop, follows=hop > 0) for hop in range(4)]
    reasons = [Reason.TRANSITION, Reason.TRANSITION, Reason.UNAVAILABLE, Reason.UNAVAILABLE]
    told = [0.5, 0.75, None, None]
    events = [
        event(each, "unknown", confidence, reason)
        for each, confidence, reason in zip(windows, told, reasons, strict=True)
    ]
    changes = Segments().update(windows, (), events, ["phone"])
    assert [(each.reason, each.windows, each.confidence) for each in changes.closed] == [
        (Reason.TRANSITION, 2, 0.625),
        (Reason.UNAVAILABLE, 2, None),
    ]


def test_the_mean_is_that_of_the_published_decimals() -> None:
    windows = [window(hop, follows=hop > 0) for hop in range(3)]
    events = [
        event(each, confidence=confidence)
        for each, confidence in zip(windows, [0.1, 0.2, 0.999999], strict=True)
    ]
    [closed] = Segments().update(windows, (), events, ["phone"]).closed
    assert closed.confidence == 0.433333


@settings(max_examples=50, deadline=None)
@given(st.data())
def test_whoever_continues_from_the_last_event_publishes_the_same(data: st.DataObject) -> None:
    activities = st.sampled_from(["walking", "sitting"])
    labels = [
        (window(hop, follows=data.draw(st.integers(0, 5)) > 0), data.draw(activities))
        for hop in range(data.draw(st.integers(1, 12)))
    ]
    at = data.draw(st.integers(0, len(labels)))
    whole = take(Segments(), *labels)

    first = Segments()
    before = take(first, *labels[:at])
    second = Segments()
    if at:
        last = event(*labels[at - 1])
        said = OpenSegment.from_headers([("other", b""), (SEGMENT_HEADER, before.headers[-1])])
        second.restore({"phone": PublishedEvent(last, said)})
    after = take(second, *labels[at:])

    assert before.closed + after.closed == whole.closed
    assert before.current + after.current == whole.current
    assert before.headers + after.headers == whole.headers


def test_an_event_without_the_header_begins_a_segment_with_the_next_window() -> None:
    """An event of an older version."""
    segments = Segments()
    segments.restore({"phone": PublishedEvent(event(window(0)), OpenSegment.from_headers([]))})
    changes = take(segments, (window(1), "walking"))
    assert changes.closed == []
    assert changes.headers == [f"{START_MS + HOP_MS};900000".encode()]


def test_a_header_that_is_not_ours_says_nothing() -> None:
    for value in (None, b"", b"now", b"1;many", b"\xff;1"):
        assert OpenSegment.from_headers([(SEGMENT_HEADER, value)]) is None


def test_what_is_written_can_be_read() -> None:
    segments = Segments()
    changes = take(segments, (window(0, follows=False), "walking"), (window(1), "sitting"))
    assert [decode_segment(encode_segment(each)) for each in changes.closed] == changes.closed
    for _, now in changes.current:
        value = encode_current(now)
        assert value is not None
        assert decode_current(value) == now
    assert encode_current(None) is None
