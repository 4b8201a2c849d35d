"""A second call beside a slow one."""

import asyncio
from collections.abc import Iterator

import pytest

from streamer.predict.endpoint_protocol import RetryableError
from streamer.predict.hedge import FEWEST, Hedge


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


async def test_the_second_call_answers_though_the_first_one_has_failed_before() -> None:
    #   first    |------ fails
    #   second        |--------- answers
    hedge, first_has_failed = Hedge(do_nothing), asyncio.Event()
    hedge._seconds.extend([0.0] * FEWEST)
    numbers = iter([1, 2])

    async def call() -> str:
        if next(numbers) == 1:
            await asyncio.sleep(0.05)
            first_has_failed.set()
            raise RetryableError("cut off")
        await first_has_failed.wait()
        await asyncio.sleep(0.01)
        return "answer"

    assert await hedge.call(call) == "answer"


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
