"""A rate limit: spaces calls evenly below a quota of calls per second."""

import asyncio
from collections import deque

SHARE, MOST_SHARE = 0.955, 0.965
"""Shares of the quota: used by evenly spaced calls, and at most in any one second. Network delays
can bring calls closer together than they were sent."""

CATCH_UP_S = 0.01
"""Calls that the event loop has delayed may catch up by so much; more would be a burst."""


class RateLimiter:
    """Admits calls one by one, in order of arrival, evenly spaced."""

    def __init__(self, quota: float) -> None:
        """Set the quota, in calls per second."""
        self._step_s = 1 / (SHARE * quota)
        self._last_s = 0.0
        self._admitted_s: deque[float] = deque(maxlen=max(1, int(MOST_SHARE * quota)))
        self._one_by_one = asyncio.Lock()

    async def acquire(self) -> None:
        """Wait until the next call may start."""
        now_s = asyncio.get_running_loop().time
        async with self._one_by_one:
            due_s = max(self._last_s + self._step_s, now_s() - CATCH_UP_S)
            if len(self._admitted_s) == self._admitted_s.maxlen:
                due_s = max(due_s, self._admitted_s[0] + 1)
            await asyncio.sleep(due_s - now_s())
            self._last_s = due_s
            self._admitted_s.append(now_s())
