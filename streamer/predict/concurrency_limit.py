"""Limits the calls in progress: grows with answers, shrinks with throttles.

Additive increase and multiplicative decrease, as in TCP (Chiu and Jain, 1989). The limit is a mean
number of calls in progress, so it may be below one: calls then run one by one, with pauses between
them. By Little's law a limit of 0.01 and calls of 5 ms are two calls per second.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from types import TracebackType

FIRST = 4
"""Limit at the start."""

JUST_S = 0.25
"""Time after a throttle during which it counts as recent."""

SHARE = 0.9
"""Share of the measured rate of answers that is used after a throttle."""

GROWTH = 1.01
"""Factor by which an answer raises a limit below one."""

LONGEST_PAUSE_S = 4.0
"""Longest pause between two calls."""

SHORTEST_CALL_S = 0.001
"""Duration that shorter calls count as."""

NEWEST_SHARE = 0.2
"""Weight of the newest call in the mean duration of calls."""


class ConcurrencyLimit:
    """A semaphore whose size adapts to the capacity of the endpoint.

    Args:
        most: largest limit.
        clock: seconds, monotonic.
    """

    def __init__(self, most: int, clock: Callable[[], float]) -> None:
        self.limit = float(min(FIRST, most))
        self.running = 0
        self._most = most
        self._clock = clock
        self._decreased_s = self._throttled_s = -JUST_S
        self._proven = 1.0
        self._pause_ends_s = 0.0
        self._mean_s = SHORTEST_CALL_S
        self._answered_s: deque[float] = deque(maxlen=1000)
        self._waiting: deque[asyncio.Future[None]] = deque()

    async def __aenter__(self) -> None:
        await self._take_slot()
        try:
            # Below one there is a single slot; its holder waits for the end of the pause.
            await asyncio.sleep(self.pause_s)
        except asyncio.CancelledError:
            self._leave()
            raise

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._leave()

    @property
    def pause_s(self) -> float:
        """Time until the next call may start, if a slot is free."""
        return max(0.0, self._pause_ends_s - self._clock())

    @property
    def just_throttled(self) -> bool:
        """Whether the endpoint has throttled a call within the last quarter of a second."""
        return self._clock() - self._throttled_s < JUST_S

    def count_answer(self, began_s: float) -> None:
        """Raise the limit a little if calls use it; the call began at this time of the clock."""
        self._measure(began_s)
        self._answered_s.append(self._clock())
        if self.limit < self._proven:
            self.limit = min(2 * self.limit, self._proven)
        elif self.limit < 1:
            self.limit *= GROWTH
        elif self.running >= int(self.limit):
            self.limit = min(self._most, self.limit + 1 / self.limit)
            self._admit()
        self._pause()

    def count_throttle(self, began_s: float) -> None:
        """Lower the limit; the call began at this time of the clock."""
        self._measure(began_s)
        self._throttled_s = self._clock()
        # Throttles of calls that were in progress at the last decrease say nothing new.
        if began_s >= self._decreased_s:
            self._decreased_s = self._clock()
            self._decrease()
        self._pause()

    def _decrease(self) -> None:
        if self._slots > 1:
            self.limit = max(1.0, self.limit / 2)
        elif borne := self._answers_of_last_second() * self._mean_s:
            self.limit = self._proven = min(self.limit, SHARE * borne)
        else:
            self.limit = max(self.limit / 2, self._mean_s / LONGEST_PAUSE_S)

    def _answers_of_last_second(self) -> int:
        while self._answered_s and self._answered_s[0] <= self._clock() - 1:
            self._answered_s.popleft()
        return len(self._answered_s)

    def _measure(self, began_s: float) -> None:
        seconds = max(self._clock() - began_s, SHORTEST_CALL_S)
        self._mean_s += NEWEST_SHARE * (seconds - self._mean_s)

    def _pause(self) -> None:
        if self.limit < 1:
            pause_s = self._mean_s * (1 / self.limit - 1)
            self._pause_ends_s = self._clock() + min(pause_s, LONGEST_PAUSE_S)

    async def _take_slot(self) -> None:
        if self.running < self._slots and not self._waiting:
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

    @property
    def _slots(self) -> int:
        return max(1, int(self.limit))

    def _leave(self) -> None:
        self.running -= 1
        self._admit()

    def _admit(self) -> None:
        while self._waiting and self.running < self._slots:
            turn = self._waiting.popleft()
            if not turn.cancelled():
                self.running += 1
                turn.set_result(None)
