"""Calls functions in the thread that computes, with the context of the task that asks."""

import asyncio
import contextvars
from collections.abc import Callable
from concurrent.futures import Executor
from typing import TypeVar, TypeVarTuple

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


async def compute_in(cpu: Executor, function: Callable[[*Ts], T], *arguments: *Ts) -> T:
    """Return what a function returns that runs in a thread.

    Its log lines have the fields that are bound in the task, such as the partition.
    """
    context = contextvars.copy_context()
    loop = asyncio.get_running_loop()
    return await loop.run_in_executor(cpu, lambda: context.run(function, *arguments))
