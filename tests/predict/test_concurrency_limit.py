"""The limit of concurrent calls, which adapts to the endpoint."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from streamer.predict.concurrency_limit import (
    FIRST,
    JUST_S,
    LONGEST_PAUSE_S,
    ConcurrencyLimit,
)
from tests.support.clock import Clock

CALL_S = 0.005


async def test_concurrency_grows_with_answers_and_halves_with_throttles() -> None:
    clock = Clock()
    concurrency = ConcurrencyLimit(16, clock)
    assert concurrency.limit == FIRST
    for _ in range(200):
        entered = [await _enter(concurrency) for _ in range(int(concurrency.limit))]
        concurrency.count_answer(clock.now_s)
        for leave in entered:
            await leave()
    assert concurrency.limit == 16

    # Both calls were in progress at the same time.
    began_s = clock.now_s
    clock.now_s += CALL_S
    concurrency.count_throttle(began_s)
    concurrency.count_throttle(began_s)
    assert concurrency.limit == 8
    for limit in (4, 2, 1):
        concurrency.count_throttle(clock.now_s)
        assert concurrency.limit == limit


@pytest.mark.parametrize("quota", [1, 2, 5, 20, 100])
def test_few_calls_exceed_an_unknown_quota(quota: int) -> None:
    #   endpoint   throttles what is more than its quota in any second
    #   calls      one after the other, for two minutes, as soon as the limit allows
    clock = Clock()
    concurrency = ConcurrencyLimit(1, clock)
    answered_s: list[float] = []
    calls = 0
    end_s = clock.now_s + 120
    while clock.now_s < end_s:
        clock.now_s += concurrency.pause_s
        began_s = clock.now_s
        clock.now_s += CALL_S
        calls += 1
        if sum(began_s - 1 < each for each in answered_s[-quota:]) < quota:
            answered_s.append(began_s)
            concurrency.count_answer(began_s)
        else:
            concurrency.count_throttle(began_s)
    assert calls < 1.4 * len(answered_s)
    assert len(answered_s) > 0.6 * quota * 120


def test_the_limit_recovers_soon_after_a_time_in_which_all_calls_were_throttled() -> None:
    #   throttles, pauses up to 4 s | answers, pauses halve
    clock = Clock()
    concurrency = ConcurrencyLimit(1, clock)
    for _ in range(30):
        clock.now_s += concurrency.pause_s
        concurrency.count_throttle(clock.now_s)
    assert concurrency.pause_s == pytest.approx(LONGEST_PAUSE_S, rel=0.01)
    began_s = clock.now_s
    while concurrency.limit < 1:
        clock.now_s += concurrency.pause_s
        concurrency.count_answer(clock.now_s)
    assert clock.now_s - began_s < 3 * LONGEST_PAUSE_S


async def _enter(concurrency: ConcurrencyLimit) -> Callable[[], Awaitable[None]]:
    await concurrency.__aenter__()
    return lambda: concurrency.__aexit__(None, None, None)


def test_a_throttle_counts_as_recent_for_a_quarter_of_a_second() -> None:
    clock = Clock()
    concurrency = ConcurrencyLimit(8, clock)
    heard = [concurrency.just_throttled]
    concurrency.count_throttle(clock.now_s)
    heard.append(concurrency.just_throttled)
    clock.now_s += JUST_S
    heard.append(concurrency.just_throttled)
    assert heard == [False, True, False]


async def test_no_more_calls_than_allowed_run_at_once_even_if_some_are_cancelled() -> None:
    concurrency = ConcurrencyLimit(FIRST, Clock())
    running, most = 0, 0

    async def call() -> None:
        nonlocal running, most
        async with concurrency:
            running += 1
            most = max(most, running)
            try:
                await asyncio.sleep(0.001)
            finally:
                running -= 1

    calls = [asyncio.create_task(call()) for _ in range(100)]
    await asyncio.sleep(0.002)
    for each in calls[::3]:
        each.cancel()
    await asyncio.gather(*calls, return_exceptions=True)

    assert most == FIRST
    assert concurrency.running == 0
