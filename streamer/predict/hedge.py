"""Hedging: a second call when the first one is slower than most (Dean and Barroso, 2013)."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from statistics import quantiles
from typing import TypeVar

Answer = TypeVar("Answer")

REMEMBERED = 200
"""Number of latest calls whose durations are known."""

FEWEST = 20
"""Number of known durations before any call counts as slow."""


class Hedge:
    """Repeats a call that takes longer than the 95th percentile of the latest calls.

    Args:
        before_second: is awaited before each second call.
    """

    def __init__(self, before_second: Callable[[], Awaitable[None]]) -> None:
        self._before_second = before_second
        self._seconds: deque[float] = deque(maxlen=REMEMBERED)

    async def call(self, attempt: Callable[[], Awaitable[Answer]]) -> Answer:
        """Call once, or twice at the same time; return the first answer, cancel the other call.

        Raises:
            Exception: all calls have failed; this is the error of the last one.
        """
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        calls = {asyncio.ensure_future(attempt())}
        try:
            done, pending = await asyncio.wait(calls, timeout=self._slow_s())
            if not done:
                pending = {*calls, asyncio.ensure_future(self._call_second(attempt))}
                calls |= pending
            while True:
                # Calls may end in the same tick: an answer counts more than a failure.
                if answers := [each for each in done if each.exception() is None]:
                    self._seconds.append(loop.time() - began_s)
                    return answers[0].result()
                if not pending:
                    return done.pop().result()
                done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in calls:
                each.cancel()

    async def _call_second(self, attempt: Callable[[], Awaitable[Answer]]) -> Answer:
        await self._before_second()
        return await attempt()

    def _slow_s(self) -> float | None:
        if len(self._seconds) < FEWEST:
            return None
        return quantiles(self._seconds, n=20)[-1]
