"""Asks an endpoint about windows, and copes with whatever it does.

    question -> batch -> [ breaker -> concurrency -> pace -> call ] -> check -> answers
                              ^ again, with jitter, until the deadline

What is tried again and what is not, only this module decides: the SDK's own retries are off.
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import stamina
import structlog

from streamer.arrays import Floats
from streamer.contracts.events import PredictionSource
from streamer.metrics import Metrics
from streamer.predict.answers import Answers, Ask
from streamer.predict.circuit_breaker import CircuitBreaker, CircuitOpenError
from streamer.predict.concurrency_limit import ConcurrencyLimit
from streamer.predict.endpoint_protocol import (
    CallError,
    CallTimeoutError,
    Endpoint,
    RefusedError,
    RetryableError,
)
from streamer.predict.hedge import Hedge
from streamer.predict.micro_batches import MicroBatcher
from streamer.predict.predictor import Prediction, Predictor
from streamer.predict.rate_limit import RateLimiter

log = structlog.get_logger(__name__)

FIRST_RETRY_S = 0.05
LONGEST_RETRY_S = 2.0
JITTER_S = 0.1


@dataclass(frozen=True, slots=True)
class CallOptions:
    """How an endpoint is called; the settings of the same names explain them."""

    batch_wait_s: float
    max_concurrency: int
    rate: float | None
    attempt_timeout_s: float
    deadline_s: float
    hedge: bool
    hold: bool
    """Wait for the endpoint however long it takes."""
    fallback: Predictor | None
    """Asked while the endpoint cannot be; without one those windows get no label."""


class EndpointCaller:
    """The windows of a worker on their way to an endpoint, and back in the order they came."""

    def __init__(
        self,
        endpoint: Endpoint,
        terms: CallOptions,
        metrics: Metrics,
        on_trouble: Callable[[str | None], None],
    ) -> None:
        self._endpoint = endpoint
        self._terms = terms
        self._metrics = metrics
        self._on_trouble = on_trouble
        self._troubled = False
        self._breaker = CircuitBreaker(time.monotonic)
        self._concurrency = ConcurrencyLimit(terms.max_concurrency, time.monotonic)
        self._pace = RateLimiter(terms.rate) if terms.rate else None
        self._hedge = Hedge(metrics.endpoint_hedges.inc) if terms.hedge else None
        self.ask: Ask = MicroBatcher(
            self._batch,
            endpoint.most_windows,
            terms.batch_wait_s,
            lambda: self._concurrency.just_throttled,
        ).ask
        metrics.endpoint_concurrency.set_function(lambda: self._concurrency.limit)
        metrics.endpoint_running.set_function(lambda: self._concurrency.running)
        metrics.endpoint_open.set_function(lambda: self._breaker.open)

    async def _batch(self, features: Floats) -> Answers:
        """Answer a batch; when the endpoint refuses it, find out because of which windows."""
        try:
            prediction = await self._persistently(features)
        except RefusedError as error:
            if len(features) == 1:
                return Answers(1, refused={0: str(error)})
            middle = len(features) // 2
            halves = self._batch(features[:middle]), self._batch(features[middle:])
            return Answers.joined(await asyncio.gather(*halves))
        except CallError:
            return await self._without_it(features)
        self._went(None)
        return Answers.all(prediction, self._endpoint.name)

    async def _without_it(self, features: Floats) -> Answers:
        if (fallback := self._terms.fallback) is None:
            return Answers(len(features))
        prediction = await fallback.predict(features)
        return Answers.all(prediction, fallback.name, PredictionSource.FALLBACK)

    async def _persistently(self, features: Floats) -> Prediction:
        """Try until the deadline, or as long as it takes."""
        while True:
            tried = self._until_answered(features)
            try:
                async with asyncio.timeout(self._terms.deadline_s):
                    return await tried
            except TimeoutError:
                error: RetryableError = CallTimeoutError(
                    f"no answer within {self._terms.deadline_s:g} s"
                )
            except CircuitOpenError as open_error:
                error = open_error
            self._went(f"the endpoint does not answer: {error}")
            if not self._terms.hold:
                raise error

    async def _until_answered(self, features: Floats) -> Prediction:
        async for attempt in stamina.retry_context(
            on=_worth_a_retry,
            attempts=None,
            timeout=None,
            wait_initial=FIRST_RETRY_S,
            wait_max=LONGEST_RETRY_S,
            wait_jitter=JITTER_S,
        ):
            with attempt:
                if attempt.num > 1:
                    self._metrics.endpoint_retries.inc()
                return await self._attempt(features)
        raise AssertionError("retrying has ended without an answer")

    async def _attempt(self, features: Floats) -> Prediction:
        """One try, two when it is hedged."""
        call = partial(self._call, features)
        async with self._breaker.call(patient=self._terms.hold), self._concurrency:
            prediction = await (self._hedge.call(call) if self._hedge else call())
            self._concurrency.succeeded()
        return prediction

    async def _call(self, features: Floats) -> Prediction:
        """One call, timed and counted."""
        if self._pace is not None:
            await self._pace.acquire()
        outcome, began_s = "cancelled", time.monotonic()
        try:
            async with asyncio.timeout(self._terms.attempt_timeout_s):
                prediction = await self._endpoint.score(features)
            outcome = "answered"
        except TimeoutError:
            outcome = CallTimeoutError.outcome
            raise CallTimeoutError(
                f"a call took over {self._terms.attempt_timeout_s:g} s"
            ) from None
        except RetryableError as error:
            outcome = error.outcome
            if outcome == "throttled":
                self._concurrency.throttled()
            raise
        except RefusedError:
            outcome = "refused"
            raise
        finally:
            self._metrics.count_call(outcome, len(features), time.monotonic() - began_s)
        return prediction

    def _went(self, trouble: str | None) -> None:
        """Say how it goes when that is news."""
        if not (trouble or self._troubled):
            return
        if trouble and not self._troubled:
            log.warning("prediction endpoint", trouble=trouble)
        elif not trouble:
            log.info("prediction endpoint answers again")
        self._troubled = bool(trouble)
        self._on_trouble(trouble)


def _worth_a_retry(error: Exception) -> bool:
    return isinstance(error, RetryableError) and not isinstance(error, CircuitOpenError)
