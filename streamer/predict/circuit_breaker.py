"""A circuit breaker: an endpoint that fails is left alone, and one call at a time tries again."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from streamer.predict.endpoint_protocol import CallError, RetryableError, ThrottledError

FAILURES = 5
"""In a row, after which it opens."""

FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 4.0
"""How long it leaves the endpoint alone; also how late it may notice that it is back."""

SHORTEST_SHARE = 0.6
"""Of a pause, at random."""


class CircuitOpenError(RetryableError):
    """The endpoint was not called: it fails all the time."""

    outcome = "not_called"


class CircuitBreaker:
    """Closed while calls succeed; open after some failures; then one probe after each pause."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._failures = 0
        self._pause_s = 0.0
        self._again_s = 0.0
        self._probing = False
        self._changed = asyncio.Event()

    @property
    def open(self) -> bool:
        """Whether calls are kept away."""
        return self._failures >= FAILURES

    @asynccontextmanager
    async def call(self, *, patient: bool) -> AsyncIterator[None]:
        """Hold this during a call; what the call raises tells how it went.

        Args:
            patient: wait while the breaker is open, rather than give up.

        Raises:
            CircuitOpenError: it is open and the call is not patient.
        """
        await self._admitted(patient=patient)
        probe = self.open
        self._probing |= probe
        try:
            yield
        except ThrottledError:
            self._succeeded()
            raise
        except RetryableError:
            self._failed()
            raise
        except CallError:
            self._succeeded()
            raise
        else:
            self._succeeded()
        finally:
            if probe:
                self._probing = False
                self._tell()

    async def _admitted(self, *, patient: bool) -> None:
        while self.open:
            wait_s = self._again_s - self._clock()
            if wait_s <= 0 and not self._probing:
                return
            if not patient:
                raise CircuitOpenError(f"left alone after {self._failures} failures in a row")
            changed = asyncio.create_task(self._changed.wait())
            await asyncio.wait({changed}, timeout=None if self._probing else wait_s)
            changed.cancel()

    def _succeeded(self) -> None:
        self._failures, self._pause_s = 0, 0.0
        self._tell()

    def _failed(self) -> None:
        self._failures += 1
        if self.open:
            self._pause_s = min(LONGEST_PAUSE_S, 2 * self._pause_s or FIRST_PAUSE_S)
            # Not always the same, or probes might meet an endpoint that fails now and then only
            # when it does.
            pause_s = self._pause_s * random.uniform(SHORTEST_SHARE, 1)  # noqa: S311 - no secret
            self._again_s = self._clock() + pause_s

    def _tell(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()
