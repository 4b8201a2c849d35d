"""Runs a coroutine as `asyncio.run` does, but never waits for what will not end.

aiokafka's producer goes on trying when its last broker is gone, whatever it is told: a process that
has ended its work, or has found out that it cannot, would stay for ever.
"""

import asyncio
from collections.abc import Coroutine
from typing import Final, TypeVar

LEFT_S: Final = 2.0
"""How long tasks that nobody waits for any more may take to end when they are cancelled."""

Result = TypeVar("Result")


def run_to_completion(main: Coroutine[None, None, Result]) -> Result:
    """Run ``main`` in an event loop of its own.

    Raises:
        BaseException: what it raised.
    """
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    try:
        return loop.run_until_complete(main)
    finally:
        if rest := asyncio.all_tasks(loop):
            for task in rest:
                task.cancel()
            loop.run_until_complete(asyncio.wait(rest, timeout=LEFT_S))
        # What is still pending is destroyed with the loop, which is what is meant.
        loop.set_exception_handler(lambda _loop, _context: None)
        asyncio.set_event_loop(None)
        loop.close()
