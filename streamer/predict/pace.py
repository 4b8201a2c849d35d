"""A steady rate of calls."""

import asyncio

DEBT_S = 0.02
"""How far calls may catch up after the event loop was late; more would be a burst."""


class Pace:
    """Gives turns at a steady rate, one by one, in the order in which they are asked for."""

    def __init__(self, per_second: float) -> None:
        self._step_s = 1 / per_second
        self._next_s = 0.0

    async def turn(self) -> None:
        """Wait for the next one."""
        loop = asyncio.get_running_loop()
        turn_s = max(self._next_s, loop.time() - DEBT_S)
        self._next_s = turn_s + self._step_s
        await asyncio.sleep(turn_s - loop.time())
