"""The lag of a partition is true at any moment, also when nothing moves."""

from streamer.kafka.lag import FRESH_S, PartitionLag
from tests.support.clock import Clock

NOON_S = 1_763_899_200.0


def lag_at(clock: Clock, settled: int = 100, low: int = 40) -> PartitionLag:
    lag = PartitionLag(clock)
    lag.start_at(settled, low)
    return lag


# log       100 .......... 220        fetched up to 220 and held: the endpoint is down
# settled   100
def test_records_that_are_read_and_wait_for_an_endpoint_are_behind() -> None:
    clock = Clock(NOON_S)
    lag = lag_at(clock)
    lag.fetch(220, round(NOON_S * 1000))
    lag.move_to(220)
    lag.end_at(220)

    clock.now_s += 200

    assert lag.records() == 120
    assert lag.seconds() == 200


# log       100 .... 160 | 161 marker      settled 160
def test_a_transaction_marker_at_the_end_does_not_count_as_lag() -> None:
    clock = Clock(NOON_S)
    lag = lag_at(clock)
    lag.fetch(160, round(NOON_S * 1000))
    lag.move_to(161)
    lag.settle(160, 130)
    lag.end_at(161)

    assert (lag.records(), lag.seconds()) == (0, 0)


# time      0 ........ 3600           3602
# log       at its end | one record, not settled yet
def test_the_first_record_after_a_long_silence_has_a_small_lag() -> None:
    clock = Clock(NOON_S)
    lag = lag_at(clock)
    lag.fetch(101, round(NOON_S * 1000))
    lag.move_to(101)
    lag.settle(101, 40)
    clock.now_s += 3600
    lag.end_at(101)
    clock.now_s += 2
    lag.end_at(102)

    assert (lag.records(), lag.seconds()) == (1, 2)


# record    9:00 | 9:10 | ...         read at 12:00, after a long stop
def test_the_lag_of_a_worker_that_catches_up_is_the_age_of_its_last_settled_record() -> None:
    clock = Clock(NOON_S)
    lag = lag_at(clock)
    lag.end_at(500)
    nine_s = NOON_S - 3 * 3600
    for following, after_s in ((200, 0), (300, 600)):
        lag.fetch(following, round((nine_s + after_s) * 1000))
        lag.move_to(following)
    lag.settle(200, 100)
    assert lag.seconds() == 3 * 3600
    lag.settle(300, 200)
    assert (lag.records(), lag.seconds()) == (200, 3 * 3600 - 600)


# Kafka     answers | ......... does not answer .........
def test_the_lag_grows_while_the_end_of_the_partition_is_unknown() -> None:
    clock = Clock(NOON_S)
    lag = lag_at(clock)
    lag.end_at(100)
    clock.now_s += FRESH_S
    assert lag.seconds() == 0
    clock.now_s += 260
    assert (lag.records(), lag.seconds()) == (0, FRESH_S + 260)


def test_the_lag_of_the_group_is_that_of_its_committed_offset() -> None:
    lag = lag_at(Clock(NOON_S), settled=24_408, low=379)
    lag.end_at(24_408)
    assert (lag.records(), lag.group_records()) == (0, 24_029)
