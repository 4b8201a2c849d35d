"""A worker calls an endpoint that fails as a script says."""

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamer.arrays import Floats
from streamer.errors import EndpointError
from streamer.metrics import Metrics
from streamer.model import artifact
from streamer.model.identity import ModelIdentity
from streamer.predict.answers import Answers, Origin
from streamer.predict.circuit_breaker import CircuitBreaker
from streamer.predict.endpoint_caller import CallOptions, EndpointCaller
from streamer.predict.endpoint_protocol import RefusedError, RetryableError, ThrottledError
from streamer.predict.local_predictor import LocalPredictor
from streamer.predict.predictor import Prediction

CARD = ModelIdentity("scripted", "1", ("a", "b"), ("walking", "sitting"))
OPTIONS = CallOptions(
    batch_wait_s=0,
    max_concurrency=4,
    rate=None,
    attempt_timeout_s=5,
    deadline_s=5,
    hedge=False,
    hold=True,
    fallback=None,
)


class Scripted:
    """Fails as its script says, then answers; refuses rows that begin with a negative number."""

    name = "scripted"
    most_windows = 8

    def __init__(self, *script: Exception, ever: Exception | None = None) -> None:
        self._script: Iterator[Exception] = iter(script)
        self.ever = ever
        self.calls = 0

    async def score(self, features: Floats) -> Prediction:
        self.calls += 1
        if self.ever:
            raise self.ever
        if error := next(self._script, None):
            raise error
        if (features[:, 0] < 0).any():
            raise RefusedError("a negative row")
        return Prediction(np.column_stack([features[:, 0], 1 - features[:, 0]]), CARD)


def make_caller(
    endpoint: Scripted,
    options: CallOptions = OPTIONS,
    on_trouble: Callable[[str | None], None] = print,
) -> tuple[EndpointCaller, Metrics]:
    metrics = Metrics()
    return EndpointCaller(endpoint, options, windows(0.5), metrics, on_trouble), metrics


def windows(*first: float) -> Floats:
    features = np.zeros((len(first), 561))
    features[:, 0] = first
    return features


def count(metrics: Metrics, name: str, **labels: str) -> float:
    return metrics.registry.get_sample_value(f"streamer_{name}_total", labels) or 0.0


async def test_retryable_errors_are_retried_until_the_endpoint_answers() -> None:
    script = [ThrottledError("slow down"), RetryableError("503"), RetryableError("cut off")]
    endpoint = Scripted(*script)
    caller, metrics = make_caller(endpoint)
    answers = await caller.ask(windows(0.5))
    assert answers.complete is not None
    assert answers.complete.prediction.model is CARD
    assert endpoint.calls == 4
    assert count(metrics, "endpoint_retries") == 3
    assert count(metrics, "endpoint_calls", outcome="throttled") == 1
    assert count(metrics, "endpoint_calls", outcome="error") == 2
    assert count(metrics, "endpoint_calls", outcome="answered") == 1


@settings(max_examples=50, deadline=None)
@given(st.lists(st.booleans(), min_size=1, max_size=20))
def test_refused_windows_are_found_and_all_others_have_their_scores(good: list[bool]) -> None:
    first = [(i + 1) / 100 * (1 if each else -1) for i, each in enumerate(good)]

    async def ask() -> Answers:
        return await make_caller(Scripted())[0].ask(windows(*first))

    answers = asyncio.run(ask())
    assert sorted(answers.refused) == [i for i, each in enumerate(good) if not each]
    assert set(answers.refused.values()) <= {"a negative row"}
    scores = {
        int(row): float(score[0])
        for scored in answers.scored
        for row, score in zip(scored.rows, scored.prediction.scores, strict=True)
    }
    assert scores == {i: first[i] for i, each in enumerate(good) if each}
    assert not answers.unavailable


async def test_a_refusal_is_believed_after_the_endpoint_has_accepted_a_typical_window() -> None:
    #   calls   window: refused | typical window: accepted | window: refused
    endpoint = Scripted()
    caller, _ = make_caller(endpoint)
    assert list((await caller.ask(windows(-1))).refused) == [0]
    assert endpoint.calls == 3


async def test_a_window_that_was_refused_just_before_the_endpoint_was_mended_is_predicted() -> None:
    #   calls      window: refused | typical window: accepted | window: answered
    #   endpoint   refuses all ...| mended
    endpoint = Scripted(RefusedError("a name lacks"))
    caller, _ = make_caller(endpoint)
    answers = await caller.ask(windows(0.5))
    assert answers.refused == {}
    assert answers.complete is not None
    assert endpoint.calls == 3


class Slow(Scripted):
    """Answers one window after a while; one of its calls fails."""

    most_windows = 1

    def __init__(self, seconds: float, failing_call: int) -> None:
        super().__init__()
        self._seconds = seconds
        self._failing_call = failing_call

    async def score(self, features: Floats) -> Prediction:
        await asyncio.sleep(self._seconds)
        if self.calls + 1 == self._failing_call:
            self.calls += 1
            raise RetryableError("503")
        return await super().score(features)


# deadline   1.5 s
# one slot   |-1-|-2-| ... |-8: fails-|-8-|      the eighth window has waited for 2.1 s
# pace       1   2   3   4   5   6: fails   6    the sixth window has waited for 2 s
@pytest.mark.parametrize(
    ("endpoint", "most", "rate", "asked"), [(Slow(0.3, 8), 1, None, 8), (Slow(0, 6), 4, 2, 6)]
)
async def test_a_window_that_has_waited_for_its_turn_is_tried_again_after_a_failure(
    endpoint: Slow, most: int, rate: float | None, asked: int
) -> None:
    options = replace(OPTIONS, max_concurrency=most, rate=rate, deadline_s=1.5, hold=False)
    caller, _ = make_caller(endpoint, options)
    answers = await caller.ask(windows(*[0.5] * asked))
    assert endpoint.calls == asked + 1
    assert answers.unavailable == []


async def test_an_error_of_the_set_up_is_raised_at_once() -> None:
    endpoint = Scripted(ever=EndpointError("not allowed"))
    caller, _ = make_caller(endpoint)
    with pytest.raises(EndpointError, match="not allowed"):
        await caller.ask(windows(0.5, 0.6))
    assert endpoint.calls == 1


async def test_hold_waits_without_limit_and_reports_the_trouble() -> None:
    #   down ......|..deadline..|..deadline..|  up: answered
    trouble: asyncio.Queue[str | None] = asyncio.Queue()
    endpoint = Scripted(ever=RetryableError("503"))
    options = _change_options(deadline_s=0.1)
    caller, _ = make_caller(endpoint, options, trouble.put_nowait)
    question = asyncio.ensure_future(caller.ask(windows(0.5)))
    async with asyncio.timeout(20):
        for _ in range(3):
            assert "does not answer" in (await trouble.get() or "")
        assert not question.done()
        endpoint.ever = None
        assert (await question).complete is not None
    while not trouble.empty():
        last = trouble.get_nowait()
    assert last is None


async def test_while_the_endpoint_is_down_the_fallback_answers_without_further_calls() -> None:
    endpoint = Scripted(ever=RetryableError("503"))
    fallback = LocalPredictor(artifact.load(artifact.WAIST_MODEL))
    options = _change_options(deadline_s=60, hold=False, fallback=fallback)
    caller, _ = make_caller(endpoint, options)
    caller._breaker = CircuitBreaker(lambda: 0.0)  # no probe becomes due
    first = await caller.ask(windows(0.5))
    calls = endpoint.calls
    second = await caller.ask(windows(0.5))
    assert endpoint.calls == calls
    for answers in (first, second):
        assert answers.complete is not None
        assert answers.complete.origin is Origin.FALLBACK
        assert answers.complete.predictor == "local"


async def test_without_a_fallback_those_windows_are_unavailable_and_only_those() -> None:
    endpoint = Scripted(ever=RetryableError("503"))
    caller, _ = make_caller(endpoint, _change_options(deadline_s=60, hold=False))
    assert (await caller.ask(windows(0.5, 0.6))).unavailable == [0, 1]
    endpoint.ever = None
    async with asyncio.timeout(20):
        while (await caller.ask(windows(0.5))).unavailable:  # noqa: ASYNC110 - time must pass
            await asyncio.sleep(0.05)


async def test_windows_of_an_endpoint_that_is_too_slow_are_unavailable() -> None:
    class Slow(Scripted):
        async def score(self, features: Floats) -> Prediction:
            await asyncio.sleep(3600)
            raise AssertionError

    caller, metrics = make_caller(
        Slow(), _change_options(attempt_timeout_s=0.01, deadline_s=0.05, hold=False)
    )
    assert (await caller.ask(windows(0.5))).unavailable == [0]
    assert count(metrics, "endpoint_calls", outcome="timeout") > 0


def _change_options(**changes: object) -> CallOptions:
    return replace(OPTIONS, **changes)  # type: ignore[arg-type]
