"""Batches of windows: their sizes, when they go, and the order of the answers."""

import asyncio

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamer.arrays import Floats
from streamer.model.identity import ModelIdentity
from streamer.predict.answers import Answers, Origin, Scored
from streamer.predict.micro_batches import MicroBatcher
from streamer.predict.predictor import Prediction

CARD = ModelIdentity("echo", "1", ("value", "row"), ("walking", "sitting"))


class Echo:
    """Scores a row with its own first feature; refuses negative ones, knows nothing of 0."""

    def __init__(self) -> None:
        self.sizes: list[int] = []

    async def __call__(self, features: Floats) -> Answers:
        self.sizes.append(len(features))
        await asyncio.sleep(0)
        first = features[:, 0]
        rows = np.flatnonzero(first > 0)
        scored = [
            Scored(
                rows, Prediction(np.column_stack([first[rows]] * 2), CARD), "echo", Origin.ENDPOINT
            )
        ]
        return Answers(
            len(features), scored, {int(row): "negative" for row in np.flatnonzero(first < 0)}
        )


def seen(answers: Answers) -> list[float | str | None]:
    found: list[float | str | None] = [None] * answers.count
    for scored in answers.scored:
        for row, score in zip(scored.rows.tolist(), scored.prediction.scores, strict=True):
            assert found[row] is None
            found[row] = float(score[0])
    for row, words in answers.refused.items():
        assert found[row] is None
        found[row] = words
    assert answers.unavailable == [i for i, each in enumerate(found) if each is None]
    return found


def expected(value: int) -> float | str | None:
    return float(value) if value > 0 else "negative" if value < 0 else None


questions = st.lists(st.lists(st.integers(-2, 50), max_size=25), max_size=12)


@settings(max_examples=60, deadline=None)
@given(questions, st.integers(1, 9))
def test_each_question_gets_its_own_answers_in_order(asked: list[list[int]], most: int) -> None:
    echo = Echo()

    async def ask_all() -> list[Answers]:
        batches = MicroBatcher(echo, most, 0.001)
        return await asyncio.gather(
            *(batches.ask(np.array(values, np.float64).reshape(-1, 1)) for values in asked)
        )

    for values, answers in zip(asked, asyncio.run(ask_all()), strict=True):
        assert seen(answers) == [expected(value) for value in values]
    assert all(1 <= size <= most for size in echo.sizes)
    assert sum(echo.sizes) == sum(map(len, asked))


async def test_small_questions_share_a_batch_and_a_full_batch_goes_at_once() -> None:
    echo = Echo()
    batches = MicroBatcher(echo, 8, 3600)
    await asyncio.gather(*(batches.ask(np.ones((2, 1))) for _ in range(8)))
    assert echo.sizes == [8, 8]


async def test_a_batch_that_is_not_full_goes_after_the_waiting_time() -> None:
    echo = Echo()
    batches = MicroBatcher(echo, 8, 0.01)
    async with asyncio.timeout(10):
        assert (await batches.ask(np.ones((3, 1)))).count == 3
    assert echo.sizes == [3]


async def test_while_the_endpoint_throttles_a_batch_waits_and_grows() -> None:
    #   early  |-- asks -- due, spared -----|
    #   late                |-- asks -------|   one call for both
    echo, due, spared = Echo(), asyncio.Event(), True

    def is_throttled() -> bool:
        due.set()
        return spared

    batches = MicroBatcher(echo, 8, 0, is_throttled)
    async with asyncio.timeout(10), asyncio.TaskGroup() as tasks:
        tasks.create_task(batches.ask(np.ones((1, 1))))
        await due.wait()
        tasks.create_task(batches.ask(np.ones((2, 1))))
        await asyncio.sleep(0)
        spared = False
    assert echo.sizes == [3]


async def test_a_call_without_waiting_lanes_is_cancelled() -> None:
    #   a  |-- asks --| cancelled
    #   b  |-- asks --------| cancelled      the call ends here, not before
    started, ended = asyncio.Event(), asyncio.Event()

    async def hang(_: Floats) -> Answers:
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()
        raise AssertionError

    batches = MicroBatcher(hang, 2, 0)
    a, b = (asyncio.create_task(batches.ask(np.ones((1, 1)))) for _ in range(2))
    await started.wait()
    a.cancel()
    await asyncio.sleep(0.01)
    assert not ended.is_set()
    b.cancel()
    async with asyncio.timeout(10):
        await ended.wait()


async def test_the_error_of_a_call_reaches_every_waiting_lane() -> None:
    async def fail(_: Floats) -> Answers:
        raise RuntimeError("no")

    batches = MicroBatcher(fail, 4, 0)
    results = await asyncio.gather(
        *(batches.ask(np.ones((2, 1))) for _ in range(2)), return_exceptions=True
    )
    assert [str(error) for error in results] == ["no", "no"]
    with pytest.raises(RuntimeError):
        await batches.ask(np.ones((1, 1)))
