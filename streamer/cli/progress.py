"""Shows how far a long command is, with the time left."""

from collections.abc import Iterator
from contextlib import contextmanager

from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from streamer.datasets.progress import ReportProgress
from streamer.kafka.reader import reading_progress
from streamer.terminal import terminal


@contextmanager
def show_progress() -> Iterator[ReportProgress]:
    """Show a bar for each part and the time left, if standard error is a terminal.

    Topics that are read meanwhile have bars of their own.
    """
    console = terminal(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn(compact=True))
    disable = not console.is_terminal
    with Progress(*columns, console=console, disable=disable, transient=True) as bar:
        tasks = {}

        def report(part: str, done: int, total: int) -> None:
            if part not in tasks:
                tasks[part] = bar.add_task(part, total=total)
            if done < bar.tasks[tasks[part]].completed:
                # The topic is read once more.
                bar.reset(tasks[part])
            bar.update(tasks[part], completed=done, total=total)

        token = reading_progress.set(None if disable else report)
        try:
            yield report
        finally:
            reading_progress.reset(token)
