from dataclasses import dataclass

import pytest

from streamer.errors import RejectsError
from streamer.flow.rejects import LEAST_RECORDS, RejectLimit


@dataclass
class Clock:
    now_s: float = 0.0

    def __call__(self) -> float:
        return self.now_s


def test_the_worker_stops_when_more_than_the_share_is_refused() -> None:
    limit = RejectLimit(0.5, 60, Clock())
    limit.count(LEAST_RECORDS, LEAST_RECORDS // 2)
    with pytest.raises(RejectsError, match="501 of the last 1001 records"):
        limit.count(1, 1)


def test_a_few_records_say_nothing() -> None:
    limit = RejectLimit(0.5, 60, Clock())
    limit.count(LEAST_RECORDS - 1, LEAST_RECORDS - 1)


def test_what_is_older_than_the_window_does_not_count() -> None:
    #   0 s              60 s    60.1 s
    #   |--- all refused --|
    #                    |--- window ---
    clock = Clock()
    limit = RejectLimit(0.5, 60, clock)
    limit.count(LEAST_RECORDS - 1, LEAST_RECORDS - 1)
    clock.now_s = 60.1
    limit.count(LEAST_RECORDS, 10)


def test_a_share_of_one_refuses_everything_and_goes_on() -> None:
    limit = RejectLimit(1, 60, Clock())
    for _ in range(10):
        limit.count(LEAST_RECORDS, LEAST_RECORDS)


def test_a_share_of_zero_stops_at_the_first_reject() -> None:
    limit = RejectLimit(0, 60, Clock())
    limit.count(LEAST_RECORDS, 0)
    with pytest.raises(RejectsError):
        limit.count(1, 1)
