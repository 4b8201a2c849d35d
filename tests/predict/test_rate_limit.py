"""The limit of calls a second."""

import asyncio

from streamer.predict.rate_limit import CATCH_UP_S, RateLimiter


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
