"""A steady rate of calls that stays below a quota."""

import asyncio
from collections import deque

SHARE, MOST_SHARE = 0.955, 0.965
"""Of the quota: used evenly, and at most in any second. Calls bunch up a little on their way."""

DEBT_S = 0.01
"""How far calls may catch up when the event loop was late; more would be a burst."""


class RateLimiter:
    """Gives turns one by one, in the order in which they are asked for.

    They come evenly, and any second has fewer than the quota, even if some of them came late.
    """

    def __init__(self, quota: float) -> None:
        """Make a pace for so many calls a second."""
        self._step_s = 1 / (SHARE * quota)
        self._due_s = 0.0
        self._given_s: deque[float] = deque(maxlen=max(1, int(MOST_SHARE * quota)))
        self._one_by_one = asyncio.Lock()

    async def acquire(self) -> None:
        """Wait for the next one."""
        now_s = asyncio.get_running_loop().time
        async with self._one_by_one:
            due_s = max(self._due_s + self._step_s, now_s() - DEBT_S)
            if len(self._given_s) == self._given_s.maxlen:
                due_s = max(due_s, self._given_s[0] + 1)
            await asyncio.sleep(due_s - now_s())
            self._due_s = due_s
            self._given_s.append(now_s())
