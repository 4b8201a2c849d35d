import pytest

from streamer.errors import RejectsError
from streamer.flow.rejects import LEAST_RECORDS, RejectLimit
from tests.support.clock import Clock


def keys(count: int, key: bytes = b"phone") -> list[bytes | None]:
    return [key] * count


def test_the_partition_is_held_when_more_than_the_share_is_refused() -> None:
    limit = RejectLimit(0.5, 60, Clock())
    limit.count(LEAST_RECORDS, keys(LEAST_RECORDS // 2))
    with pytest.raises(RejectsError, match="501 of the last 1001 records"):
        limit.count(1, keys(1))


def test_few_rejected_records_do_not_hold_a_partition() -> None:
    limit = RejectLimit(0.5, 60, Clock())
    limit.count(LEAST_RECORDS - 1, keys(LEAST_RECORDS - 1))


def test_records_older_than_the_window_do_not_count() -> None:
    #   0 s              60 s    60.1 s
    #   |--- all refused --|
    #                    |--- window ---
    clock = Clock()
    limit = RejectLimit(0.5, 60, clock)
    limit.count(LEAST_RECORDS - 1, keys(LEAST_RECORDS - 1))
    clock.now_s += 60.1
    limit.count(LEAST_RECORDS, keys(10))


def test_a_share_of_one_never_holds_the_partition() -> None:
    limit = RejectLimit(1, 60, Clock())
    for _ in range(10):
        limit.count(LEAST_RECORDS, keys(LEAST_RECORDS))


def test_a_share_of_zero_stops_at_the_first_reject() -> None:
    limit = RejectLimit(0, 60, Clock())
    limit.count(LEAST_RECORDS, [])
    with pytest.raises(RejectsError):
        limit.count(1, keys(1))


def test_the_error_names_the_keys_that_send_most_rejects_and_none_can_harm_a_terminal() -> None:
    limit = RejectLimit(0.5, 60, Clock())
    rejected = [*keys(600, b"bad\x1b[31m\xff"), *keys(100, b"worse"), None]
    with pytest.raises(RejectsError) as found:
        limit.count(LEAST_RECORDS, rejected)
    assert "keys 'bad\\x1b[31m\\\\xff' (600), 'worse' (100), none (1)." in str(found.value)
    assert str(found.value).isprintable()
