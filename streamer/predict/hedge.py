"""A second try for calls that take longer than nearly all others (Dean and Barroso, 2013)."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from statistics import quantiles
from typing import TypeVar

Answer = TypeVar("Answer")

REMEMBERED = 200
"""Calls whose time is known."""

FEWEST = 20
"""Calls before anything is called slow."""


class Hedge:
    """Calls again what has not answered by the 95th percentile of the calls before."""

    def __init__(self, on_hedge: Callable[[], None]) -> None:
        self._on_hedge = on_hedge
        self._seconds: deque[float] = deque(maxlen=REMEMBERED)

    async def call(self, attempt: Callable[[], Awaitable[Answer]]) -> Answer:
        """Try once, perhaps twice; the first answer counts.

        Raises:
            Exception: what the last of the tries raised, when none succeeded.
        """
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        tries = {asyncio.ensure_future(attempt())}
        try:
            done, _ = await asyncio.wait(tries, timeout=self._slow_s())
            if not done:
                self._on_hedge()
                tries.add(asyncio.ensure_future(attempt()))
            pending = set(tries)
            while pending:
                done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
                for each in done:
                    if each.exception() is None or not pending:
                        answer = each.result()
                        self._seconds.append(loop.time() - began_s)
                        return answer
            raise AssertionError("the last try has neither succeeded nor failed")
        finally:
            for each in tries:
                each.cancel()

    def _slow_s(self) -> float | None:
        if len(self._seconds) < FEWEST:
            return None
        return quantiles(self._seconds, n=20)[-1]
