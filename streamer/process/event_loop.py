"""Runs a coroutine as `asyncio.run` does, but never waits for tasks that do not end.

aiokafka's producer retries after its last broker is gone, also when it is cancelled: a process that
has ended its work, or has found out that it cannot do it, would never end.
"""

import asyncio
import ctypes
from collections.abc import Coroutine, Iterable
from typing import Any, Final, TypeVar

LEFT_S: Final = 2.0
"""Time in which the tasks that are left must end after they were cancelled."""

Result = TypeVar("Result")


def run_to_completion(main: Coroutine[None, None, Result]) -> Result:
    """Run ``main`` in an event loop of its own, and return its result.

    Raises:
        BaseException: the exception that ``main`` raised.
    """
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    try:
        return loop.run_until_complete(main)
    finally:
        if rest := asyncio.all_tasks(loop):
            for task in rest:
                task.cancel()
            _, abandoned = loop.run_until_complete(asyncio.wait(rest, timeout=LEFT_S))
            _keep_until_exit(abandoned)
        loop.set_exception_handler(lambda _loop, _context: None)
        asyncio.set_event_loop(None)
        loop.close()


def _keep_until_exit(tasks: Iterable[asyncio.Task[Any]]) -> None:
    """Keep tasks from being destroyed, also when the interpreter exits.

    A coroutine that is destroyed runs its clean-up code. Without an event loop, that code would log
    errors and try again.
    """
    for task in tasks:
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(task))
