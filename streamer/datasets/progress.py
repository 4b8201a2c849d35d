"""Defines how a long computation reports its progress."""

from collections.abc import Callable

ReportProgress = Callable[[str, int, int], None]
"""Called when a step is done: what is being done, steps done, steps of this part in total."""


def ignore_progress(part: str, done: int, total: int) -> None:
    """Report nothing."""
