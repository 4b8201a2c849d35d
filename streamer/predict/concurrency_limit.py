"""How many calls may be under way: more while all goes well, half after a throttle.

Additive increase and multiplicative decrease, as TCP does (Chiu and Jain, 1989).
"""

import asyncio
from collections import deque
from collections.abc import Callable
from types import TracebackType

FIRST = 4
"""Calls at once to begin with."""

DEAF_S = 0.25
"""After a decrease: throttles of calls that were under way then say nothing new."""


class ConcurrencyLimit:
    """A semaphore whose size follows what the endpoint bears."""

    def __init__(self, most: int, clock: Callable[[], float]) -> None:
        self.limit = float(min(FIRST, most))
        self.running = 0
        self._most = most
        self._clock = clock
        self._deaf_until = 0.0
        self._waiting: deque[asyncio.Future[None]] = deque()

    async def __aenter__(self) -> None:
        if self.running < int(self.limit) and not self._waiting:
            self.running += 1
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self._leave()
            raise

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._leave()

    def succeeded(self) -> None:
        """Allow a little more, if what is allowed is used."""
        if self.running >= int(self.limit):
            self.limit = min(self._most, self.limit + 1 / self.limit)
            self._admit()

    def throttled(self) -> None:
        """Allow half, at least one."""
        if self._clock() >= self._deaf_until:
            self.limit = max(1.0, self.limit / 2)
            self._deaf_until = self._clock() + DEAF_S

    @property
    def just_throttled(self) -> bool:
        """Whether the endpoint has said lately that this is too much."""
        return self._clock() < self._deaf_until

    def _leave(self) -> None:
        self.running -= 1
        self._admit()

    def _admit(self) -> None:
        while self._waiting and self.running < int(self.limit):
            turn = self._waiting.popleft()
            if not turn.cancelled():
                self.running += 1
                turn.set_result(None)
