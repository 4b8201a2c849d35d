"""Shows the progress of reading recordings and of training, with the time left."""

from collections.abc import Iterator
from contextlib import contextmanager

from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from streamer.datasets.progress import ReportProgress
from streamer.terminal import terminal

_SHARES = {"windows of recordings": 0.52, "cross-validation": 0.4, "fitting to all users": 0.08}
"""Share of each part in the time of a training, measured on the public data set."""


@contextmanager
def show_progress() -> Iterator[ReportProgress]:
    """Show a progress bar with the remaining time, if standard error is a terminal."""
    console = terminal(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn(compact=True))
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task("reading", total=1)
        parts = list(_SHARES)

        def report(part: str, done: int, total: int) -> None:
            before = sum(_SHARES[each] for each in parts[: parts.index(part)])
            share = before + _SHARES[part] * done / total
            bar.update(task, description=f"{part} {done}/{total}", completed=share)

        yield report
