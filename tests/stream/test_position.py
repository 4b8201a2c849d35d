"""Where a partition is taken up again after a crash."""

from itertools import accumulate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamer.stream.position import Position, ReplayStart
from streamer.stream.samples import NEVER

OFFSETS = st.integers(0, 2**62)


@given(st.builds(Position, OFFSETS, OFFSETS, st.integers(NEVER, 2**62), st.tuples(OFFSETS)))
def test_a_position_survives_its_metadata(position: Position) -> None:
    assert Position.parse(position.low, position.metadata()) == position


@pytest.mark.parametrize("metadata", ["", "v0;1;2;", "v1;1", "v1;one;2;", "somebody else's"])
def test_metadata_of_another_program_are_refused(metadata: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        Position.parse(0, metadata)


def test_reading_starts_again_with_the_last_fetch_that_has_the_low_record() -> None:
    # fetches    0 .... | 10 ... | 25 ... | 40
    # clock      none   | 100    | 250    | 400
    # low                            30
    # flushed             12       25   33
    start = ReplayStart(Position(0, 0))
    for following in (10, 25, 40):
        start.processed(following, following * 10)
    for flushed in (12, 25, 33):
        start.flushed(flushed)
    assert start.position(30, 40) == Position(25, 40, 250, (33,))


@given(st.data())
def test_a_start_is_never_after_the_low_record_and_never_goes_back(data: st.DataObject) -> None:
    ends = list(accumulate(data.draw(st.lists(st.integers(1, 50), min_size=1, max_size=20))))
    start, low, before = ReplayStart(Position(0, 0)), 0, 0
    for end in ends:
        start.processed(end, end)
        low = data.draw(st.integers(low, end))
        position = start.position(low, end)
        assert before <= position.low <= low
        assert position.clock_us == (position.low or NEVER)
        assert position.low in (0, *ends)
        before = position.low


def test_without_devices_reading_starts_where_it_ended() -> None:
    start = ReplayStart(Position(0, 0))
    start.processed(10, 100)
    assert start.position(None, 10) == Position(10, 10, 100)
