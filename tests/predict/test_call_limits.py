"""Rate limit, concurrency limit, circuit breaker and hedge, each alone."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator

import pytest

from streamer.predict import circuit_breaker
from streamer.predict.circuit_breaker import (
    FAILURES,
    FIRST_PAUSE_S,
    CircuitBreaker,
    CircuitOpenError,
)
from streamer.predict.concurrency_limit import (
    FIRST,
    JUST_S,
    LONGEST_PAUSE_S,
    ConcurrencyLimit,
)
from streamer.predict.endpoint_protocol import RefusedError, RetryableError, ThrottledError
from streamer.predict.hedge import FEWEST, Hedge
from streamer.predict.rate_limit import CATCH_UP_S, RateLimiter
from tests.support.clock import Clock

CALL_S = 0.005


async def test_calls_are_admitted_one_by_one_at_the_rate_and_never_in_a_burst() -> None:
    limiter, loop = RateLimiter(200), asyncio.get_running_loop()
    times: list[float] = []

    async def take() -> None:
        await limiter.acquire()
        times.append(loop.time())

    await asyncio.gather(*(take() for _ in range(60)))
    # A quiet time must not save up calls.
    await asyncio.sleep(0.3)
    quiet = len(times)
    await asyncio.gather(*(take() for _ in range(60)))

    for run in (times[:quiet], times[quiet:]):
        assert (len(run) - 2) / (run[-1] - run[0] + CATCH_UP_S) < 200


async def test_no_second_has_more_calls_than_the_quota_even_after_the_event_loop_was_busy() -> None:
    limiter, loop = RateLimiter(50), asyncio.get_running_loop()
    times: list[float] = []

    async def take() -> None:
        await limiter.acquire()
        times.append(loop.time())

    takers = [asyncio.create_task(take()) for _ in range(110)]
    for _ in range(4):
        await asyncio.sleep(0.3)
        busy_until = loop.time() + 0.2
        while loop.time() < busy_until:
            pass
    await asyncio.gather(*takers)
    for begin in times:
        assert sum(begin <= time < begin + 1 for time in times) <= 50


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


async def outcome(breaker: CircuitBreaker, error: Exception | None) -> None:
    async with breaker.call(patience_s=0):
        if error:
            raise error


async def opened(clock: Clock) -> CircuitBreaker:
    breaker = CircuitBreaker(clock)
    for _ in range(FAILURES):
        assert not breaker.open
        with pytest.raises(RetryableError):
            await outcome(breaker, RetryableError())
    assert breaker.open
    return breaker


async def test_failures_in_a_row_open_the_breaker_and_one_success_closes_it() -> None:
    #   x x x x x | open ... pause | probe ok | closed
    clock = Clock()
    breaker = await opened(clock)
    with pytest.raises(CircuitOpenError):
        await outcome(breaker, None)
    clock.now_s += FIRST_PAUSE_S
    await outcome(breaker, None)
    assert not breaker.open
    await outcome(breaker, None)


async def test_a_failed_probe_makes_the_pause_longer() -> None:
    clock = Clock()
    breaker = await opened(clock)
    clock.now_s += FIRST_PAUSE_S
    with pytest.raises(RetryableError):
        await outcome(breaker, RetryableError())
    clock.now_s += FIRST_PAUSE_S
    with pytest.raises(CircuitOpenError):
        await outcome(breaker, None)
    clock.now_s += FIRST_PAUSE_S
    await outcome(breaker, None)


async def test_probes_do_not_keep_meeting_an_endpoint_that_fails_periodically() -> None:
    #   endpoint   | down 1 s | up 3 s | down 1 s | up 3 s ...
    #   probes     x          x  four seconds later, if pauses were all the same
    clock = Clock()
    breaker = await opened(clock)
    for _ in range(200):
        clock.now_s = breaker._again_s
        down = clock.now_s % circuit_breaker.LONGEST_PAUSE_S < 1
        if not down:
            await outcome(breaker, None)
            break
        with pytest.raises(RetryableError):
            await outcome(breaker, RetryableError())
    assert not breaker.open


async def test_only_one_call_probes_and_the_others_follow_when_it_succeeds() -> None:
    clock = Clock()
    breaker = await opened(clock)
    clock.now_s += FIRST_PAUSE_S
    inside, most, release = 0, 0, asyncio.Event()

    async def call() -> None:
        nonlocal inside, most
        async with breaker.call(patience_s=60):
            inside += 1
            most = max(most, inside)
            await release.wait()
            inside -= 1

    calls = [asyncio.create_task(call()) for _ in range(50)]
    for _ in range(10):
        await asyncio.sleep(0)
    assert most == 1
    release.set()
    await asyncio.gather(*calls)


async def test_a_cancelled_probe_lets_another_call_probe() -> None:
    clock = Clock()
    breaker = await opened(clock)
    clock.now_s += FIRST_PAUSE_S
    with pytest.raises(asyncio.CancelledError):
        async with breaker.call(patience_s=60):
            raise asyncio.CancelledError
    assert breaker.open
    await outcome(breaker, None)
    assert not breaker.open


@pytest.mark.parametrize("error", [RefusedError(), ThrottledError()])
async def test_refusals_and_throttles_do_not_open_the_breaker(error: Exception) -> None:
    breaker = CircuitBreaker(Clock())
    for _ in range(3 * FAILURES):
        with pytest.raises(type(error)):
            await outcome(breaker, error)
    assert not breaker.open


async def test_a_call_that_is_slower_than_most_is_repeated_and_the_first_answer_counts() -> None:
    hedged: list[None] = []

    async def count_hedge() -> None:
        hedged.append(None)

    hedge = Hedge(count_hedge)

    async def quick() -> str:
        await asyncio.sleep(0.001)
        return "quick"

    for _ in range(FEWEST):
        assert await hedge.call(quick) == "quick"
    assert not hedged

    answers = iter(["never", "quick"])
    cancelled: list[str] = []

    async def slow_once() -> str:
        answer = next(answers)
        try:
            await asyncio.sleep(60 if answer == "never" else 0)
        except asyncio.CancelledError:
            cancelled.append(answer)
            raise
        return answer

    assert await hedge.call(slow_once) == "quick"
    await asyncio.sleep(0)
    assert len(hedged) == 1
    assert cancelled == ["never"]


async def test_a_hedged_call_fails_only_when_both_have_failed() -> None:
    hedge = Hedge(do_nothing)
    hedge._seconds.extend([0.0] * FEWEST)
    tries: list[int] = []

    async def failing() -> None:
        tries.append(len(tries))
        await asyncio.sleep(0.01 * len(tries))
        raise RetryableError(f"try {len(tries)}")

    with pytest.raises(RetryableError):
        await hedge.call(failing)
    assert len(tries) == 2


async def do_nothing() -> None:
    pass


async def test_of_two_calls_that_end_in_the_same_tick_the_answer_counts() -> None:
    #   first    |-------------- fails
    #   second      |----------- answers
    for _ in range(200):
        hedge, both = Hedge(do_nothing), asyncio.Event()
        hedge._seconds.extend([0.0] * FEWEST)
        outcomes = iter([True, False])

        async def call(outcomes: Iterator[bool] = outcomes, both: asyncio.Event = both) -> str:
            fails = next(outcomes)
            if not fails:
                asyncio.get_running_loop().call_soon(both.set)
            await both.wait()
            if fails:
                raise RetryableError("cut off")
            return "answer"

        assert await hedge.call(call) == "answer"
