"""A circuit breaker: keeps calls away from an endpoint that fails, and probes it with one call."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from streamer.predict.endpoint_protocol import CallError, RetryableError, ThrottledError

FAILURES = 5
"""Consecutive failures that open the breaker."""

FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 4.0
"""Pause before a probe. It doubles with each failed probe; the longest one bounds the delay with
which a recovery is noticed."""

SHORTEST_SHARE = 0.6
"""A pause is a random share of its length, from this one to the whole."""


class CircuitOpenError(RetryableError):
    """The breaker is open: the endpoint was not called."""

    outcome = "not_called"


class CircuitBreaker:
    """Closed while calls succeed; open after some failures; then one probe after each pause."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._failures = 0
        self._last_error: Exception | None = None
        self._pause_s = 0.0
        self._again_s = 0.0
        self._probing = False
        self._changed = asyncio.Event()

    @property
    def open(self) -> bool:
        """Whether calls are kept away."""
        return self._failures >= FAILURES

    def check(self) -> None:
        """Do nothing if a call may start now.

        Raises:
            CircuitOpenError: the breaker is open and no probe is due.
        """
        if self.open and (self._probing or self._clock() < self._again_s):
            raise CircuitOpenError(
                f"{self._failures} calls in a row have failed; the last error: {self._last_error}"
            )

    @asynccontextmanager
    async def call(self, *, patience_s: float) -> AsyncIterator[None]:
        """Hold this context during a call; the error that the call raises decides the state.

        Args:
            patience_s: how long to wait while the breaker is open.

        Raises:
            CircuitOpenError: the breaker has been open for that time.
        """
        await self._wait(patience_s)
        probe = self.open
        self._probing |= probe
        try:
            yield
        except ThrottledError:
            self._close()
            raise
        except RetryableError as error:
            self._count_failure(error)
            raise
        except CallError:
            self._close()
            raise
        else:
            self._close()
        finally:
            if probe:
                self._probing = False
                self._notify()

    async def _wait(self, patience_s: float) -> None:
        give_up_at = self._clock() + patience_s
        while True:
            try:
                return self.check()
            except CircuitOpenError:
                patience_s = give_up_at - self._clock()
                if patience_s <= 0:
                    raise
            until_probe_s = patience_s if self._probing else self._again_s - self._clock()
            changed = asyncio.create_task(self._changed.wait())
            await asyncio.wait({changed}, timeout=min(patience_s, until_probe_s))
            changed.cancel()

    def _close(self) -> None:
        self._failures, self._pause_s = 0, 0.0
        self._notify()

    def _count_failure(self, error: Exception) -> None:
        self._failures += 1
        self._last_error = error
        if self.open:
            self._pause_s = min(LONGEST_PAUSE_S, 2 * self._pause_s or FIRST_PAUSE_S)
            # A constant pause could keep time with an endpoint that fails periodically.
            pause_s = self._pause_s * random.uniform(SHORTEST_SHARE, 1)  # noqa: S311 - no secret
            self._again_s = self._clock() + pause_s

    def _notify(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()
