"""Where a partition is taken up again after a crash."""

from itertools import accumulate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamer.stream.clock import START, PartitionClock
from streamer.stream.position import Position, ReplayStart
from streamer.stream.samples import NEVER

OFFSETS = st.integers(0, 2**62)


@st.composite
def positions(draw: st.DrawFn) -> Position:
    low = draw(OFFSETS)
    return Position(
        low,
        low + draw(OFFSETS),
        draw(st.sampled_from([START, PartitionClock(5), PartitionClock(NEVER, 7, 9, 4)])),
        draw(st.tuples(OFFSETS)),
        draw(st.sampled_from(["", "ca1f7bb24a3d44ba9c5e7f1ca8fff21a"])),
        draw(st.sampled_from([(), (7,), (7, 9)])),
        *draw(st.sampled_from([("", 0), ("har@0123456789ab+har-acc@ba9876543210", 7)])),
        stored=draw(st.none() | OFFSETS),
    )


@given(positions())
def test_a_position_survives_its_metadata(position: Position) -> None:
    assert Position.parse(position.low, position.metadata()) == position


def test_positions_of_the_versions_before_are_still_read() -> None:
    assert Position.parse(40, "v1;70;123;50,60") == Position(40, 70, PartitionClock(123), (50, 60))
    assert Position.parse(40, "v2;70;5,7,9;;;") == Position(40, 70, PartitionClock(5, 7, 9))


def test_workers_of_an_earlier_release_read_positions_without_models() -> None:
    assert Position(40, 70, PartitionClock(5)).metadata() == "v2;70;5;;;"


@pytest.mark.parametrize(
    "metadata",
    [
        "",
        "v0;1;2;",
        "v1;1",
        "v1;one;2;",
        "v2;1;2;",
        "somebody else's",
        "v1;6;2;",
        "v2;6;2;;;",
        "v2;9;1,2;;;",
        "v3;9;1;;;",
        "v3;9;1;;;;har@0;seven",
    ],
)
def test_metadata_of_another_program_are_refused(metadata: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        Position.parse(7, metadata)


def test_reading_starts_again_with_the_last_fetch_that_has_the_low_record() -> None:
    # fetches    0 .... | 10 ... | 25 ... | 40
    # clock      none   | 100    | 250    | 400
    # low                            30
    # flushed             12       25   33
    start = ReplayStart(Position(0, 0))
    for following in (10, 25, 40):
        start.processed(following, PartitionClock(following * 10))
    for flushed in (12, 25, 33):
        start.flushed(flushed)
    assert start.position(30, 40) == Position(25, 40, PartitionClock(250), (33,))


@given(st.data())
def test_a_start_is_never_after_the_low_record_and_never_goes_back(data: st.DataObject) -> None:
    ends = list(accumulate(data.draw(st.lists(st.integers(1, 50), min_size=1, max_size=20))))
    start, low, before = ReplayStart(Position(0, 0)), 0, 0
    for end in ends:
        start.processed(end, PartitionClock(end))
        low = data.draw(st.integers(low, end))
        position = start.position(low, end)
        assert before <= position.low <= low
        assert position.clock.us == (position.low or NEVER)
        assert position.low in (0, *ends)
        before = position.low


def test_a_record_to_skip_is_remembered_until_it_cannot_be_read_again() -> None:
    # low        0 ...... | 20 ........ | 50
    # skipped        12        33
    start = ReplayStart(Position(0, 0, topic_id="t", skipped=(12, 33)))
    skipped = []
    for following in (20, 50):
        start.processed(following, PartitionClock(following))
        position = start.position(following, following)
        assert position.topic_id == "t"
        skipped.append(position.skipped)
    assert skipped == [(33,), ()]


def test_a_position_says_since_which_record_its_models_decide() -> None:
    #   records   0 ..... | 20 ...... | 50 ..... | 70
    #   models      first | first     | next     | next
    start, found = ReplayStart(Position(0, 0)), []
    for following, models in ((20, "first"), (50, "first"), (70, "next"), (90, "next")):
        start.decided_by(models, following - 20)
        start.processed(following, PartitionClock(following))
        position = start.position(None, following)
        found.append((position.models, position.models_since))
    assert found == [("first", 0), ("first", 0), ("next", 50), ("next", 50)]


def test_without_devices_reading_starts_where_it_ended() -> None:
    start = ReplayStart(Position(0, 0))
    start.processed(10, PartitionClock(100))
    assert start.position(None, 10) == Position(10, 10, PartitionClock(100))
