"""The circuit breaker of an endpoint."""

import asyncio

import pytest

from streamer.predict import circuit_breaker
from streamer.predict.circuit_breaker import (
    FAILURES,
    FIRST_PAUSE_S,
    CircuitBreaker,
    CircuitOpenError,
)
from streamer.predict.endpoint_protocol import RefusedError, RetryableError, ThrottledError
from tests.support.clock import Clock


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
