"""Calls a prediction endpoint for the windows of a worker until it answers.

    windows -> batch -> [ concurrency limit -> circuit breaker -> rate limit -> call ] -> answers
                          ^ again after a failure, with jitter, until the deadline

Only this module decides which calls are repeated: the retries of the AWS SDK are off.
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import stamina
import structlog

from streamer.arrays import Floats
from streamer.metrics import Metrics
from streamer.predict.answers import Answers, Ask, Origin
from streamer.predict.circuit_breaker import CircuitBreaker, CircuitOpenError
from streamer.predict.concurrency_limit import ConcurrencyLimit
from streamer.predict.endpoint_protocol import (
    CallError,
    CallTimeoutError,
    Endpoint,
    RefusedError,
    RefusesEverythingError,
    RetryableError,
    TooLargeError,
)
from streamer.predict.hedge import Hedge
from streamer.predict.micro_batches import MicroBatcher
from streamer.predict.predictor import Prediction, Predictor
from streamer.predict.rate_limit import RateLimiter
from streamer.predict.stopwatch import Stopwatch

log = structlog.get_logger(__name__)

FIRST_RETRY_S = 0.05
LONGEST_RETRY_S = 2.0
JITTER_S = 0.1


@dataclass(frozen=True, slots=True)
class CallOptions:
    """How an endpoint is called; the settings of the same names explain the options.

    Attributes:
        rate: most calls per second; None without a quota.
        hold: wait for the endpoint without limit.
        fallback: predicts while the endpoint does not answer; with neither a fallback nor `hold`
            the windows are unavailable.
    """

    batch_wait_s: float
    max_concurrency: int
    rate: float | None
    attempt_timeout_s: float
    deadline_s: float
    hedge: bool
    hold: bool
    fallback: Predictor | None


class EndpointCaller:
    """Predicts windows with an endpoint; all partitions of a worker share one caller.

    Args:
        endpoint: the endpoint, which makes single calls.
        options: how to call it.
        reference: (1, features), a valid window. If the endpoint refuses this one too, it refuses
            everything, and the fault is not in the windows.
        metrics: counts the calls.
        on_trouble: is called with the reason when the endpoint does not answer, and with None
            when it answers again.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        options: CallOptions,
        reference: Floats,
        metrics: Metrics,
        on_trouble: Callable[[str | None], None],
    ) -> None:
        self._endpoint = endpoint
        self._options = options
        self._reference = reference
        self._metrics = metrics
        self._on_trouble = on_trouble
        self._in_trouble = False
        self._has_warned_of_size = False
        self._held_batches = 0
        self._breaker = CircuitBreaker(time.monotonic)
        self._concurrency = ConcurrencyLimit(options.max_concurrency, time.monotonic)
        self._rate = RateLimiter(options.rate) if options.rate else None
        self._hedge = Hedge(self._prepare_second_call) if options.hedge else None
        self.ask: Ask = MicroBatcher(
            self._answer,
            endpoint.most_windows,
            options.batch_wait_s,
            lambda: self._concurrency.just_throttled,
        ).ask
        metrics.endpoint_concurrency.set_function(lambda: self._concurrency.limit)
        metrics.endpoint_running.set_function(lambda: self._concurrency.running)
        metrics.endpoint_open.set_function(lambda: self._breaker.open)

    async def _answer(self, features: Floats) -> Answers:
        """Answer a batch. If the endpoint refuses it, halve it to find the refused windows."""
        try:
            prediction = await self._predict(features)
        except RefusedError as error:
            if len(features) == 1:
                return Answers(1, refused={0: str(error)})
            if isinstance(error, TooLargeError):
                self._warn_of_size(len(features), error)
            middle = len(features) // 2
            halves = self._answer(features[:middle]), self._answer(features[middle:])
            return Answers.concatenate(await asyncio.gather(*halves))
        except CallError:
            return await self._answer_without_endpoint(features)
        return Answers.from_prediction(prediction, self._endpoint.name, Origin.ENDPOINT)

    async def _answer_without_endpoint(self, features: Floats) -> Answers:
        if (fallback := self._options.fallback) is None:
            return Answers(len(features))
        prediction = await fallback.predict(features)
        return Answers.from_prediction(prediction, fallback.name, Origin.FALLBACK)

    async def _predict(self, features: Floats) -> Prediction:
        """Call until the endpoint answers; without `hold` until the deadline only."""
        held = False
        try:
            while True:
                try:
                    prediction = await self._try_until_deadline(features)
                    break
                except RetryableError as error:
                    self._report_trouble(f"the endpoint does not answer: {error}")
                    if not self._options.hold:
                        raise
                    self._held_batches += not held
                    held = True
        finally:
            self._held_batches -= held
        self._report_answer()
        return prediction

    async def _try_until_deadline(self, features: Floats) -> Prediction:
        """Call again after retryable errors, until the windows have been tried for too long.

        Calls and the pauses after them count. Time in the queue does not: it says nothing about
        the endpoint.
        """
        tried = Stopwatch(time.monotonic)

        def is_worth_a_retry(error: Exception) -> bool:
            return (
                isinstance(error, RetryableError)
                and not isinstance(error, CircuitOpenError)
                and tried.elapsed_s < self._options.deadline_s
            )

        async for attempt in stamina.retry_context(
            on=is_worth_a_retry,
            attempts=None,
            timeout=None,
            wait_initial=FIRST_RETRY_S,
            wait_max=LONGEST_RETRY_S,
            wait_jitter=JITTER_S,
        ):
            with attempt:
                if attempt.num > 1:
                    self._metrics.endpoint_retries.inc()
                return await self._call_when_admitted(features, tried)
        raise AssertionError("the retries have ended without an answer")

    async def _call_when_admitted(self, features: Floats, tried: Stopwatch) -> Prediction:
        """Wait until a call may start, then call."""
        hold = self._options.hold
        if not hold:
            # Without a queue: a slot may be taken by a probe that hangs.
            self._breaker.check()
        tried.stop()
        async with self._concurrency:
            tried.start()
            patience_s = self._options.deadline_s - tried.elapsed_s if hold else 0.0
            async with self._breaker.call(patience_s=patience_s):
                tried.stop()
                await self._wait_for_rate()
                tried.start()
                return await self._call(features)

    async def _call(self, features: Floats) -> Prediction:
        """Call once, or twice with hedging.

        A refusal is believed only if the endpoint has accepted a typical window before it. An
        endpoint that was mended between the two has refused a window that it would accept now.
        The size of a request of several windows says nothing about a typical window.
        """
        call = partial(self._call_and_count, features)
        try:
            return await (self._hedge.call(call) if self._hedge else call())
        except RefusedError as refusal:
            if isinstance(refusal, TooLargeError) and len(features) > 1:
                raise
            if await self._accepts_reference():
                await self._wait_for_rate()
                return await self._call_and_count(features)
            error = RefusesEverythingError(
                f"it refuses every window, even a typical one of the training data: {refusal}; "
                "put the endpoint right, or the settings with which it is called"
            )
            self._report_trouble(f"the endpoint does not answer: {error}")
            raise error from refusal

    async def _prepare_second_call(self) -> None:
        self._metrics.endpoint_hedges.inc()
        await self._wait_for_rate()

    async def _accepts_reference(self) -> bool:
        await self._wait_for_rate()
        try:
            await self._call_and_count(self._reference)
        except RefusedError:
            return False
        return True

    async def _call_and_count(self, features: Floats) -> Prediction:
        """Call once within the time limit; measure and count the call."""
        timeout_s = min(self._options.attempt_timeout_s, self._options.deadline_s)
        outcome, began_s = "cancelled", time.monotonic()
        try:
            async with asyncio.timeout(timeout_s):
                prediction = await self._endpoint.score(features)
            outcome = "answered"
            self._concurrency.count_answer(began_s)
        except TimeoutError:
            outcome = CallTimeoutError.outcome
            raise CallTimeoutError(f"a call has taken longer than {timeout_s:g} s") from None
        except RetryableError as error:
            outcome = error.outcome
            if outcome == "throttled":
                self._concurrency.count_throttle(began_s)
            raise
        except RefusedError:
            outcome = "refused"
            raise
        finally:
            self._metrics.count_call(outcome, len(features), time.monotonic() - began_s)
        return prediction

    async def _wait_for_rate(self) -> None:
        if self._rate is not None:
            await self._rate.acquire()

    def _warn_of_size(self, windows: int, error: TooLargeError) -> None:
        if not self._has_warned_of_size:
            self._has_warned_of_size = True
            log.warning(
                "a request is too large for the endpoint or for a proxy before it: such requests "
                "are halved",
                windows=windows,
                error=str(error),
                hint="lower batch_windows, or raise the limit of the proxy",
            )

    def _report_trouble(self, trouble: str) -> None:
        if not self._in_trouble:
            log.warning("the prediction endpoint does not answer", trouble=trouble)
        self._in_trouble = True
        self._on_trouble(trouble)

    def _report_answer(self) -> None:
        """Say that the endpoint answers again, if no batch is held any more."""
        if self._in_trouble and not self._held_batches:
            log.info("the prediction endpoint answers again")
            self._in_trouble = False
            self._on_trouble(None)
