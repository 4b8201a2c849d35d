"""`streamer predict` predicts the windows of recordings or of feature tables, without Kafka."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import click
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from streamer.cli.options import settings_options
from streamer.cli.profile_option import print_note, profile_option
from streamer.datasets import prediction_files
from streamer.datasets.feature_table import MOST_INVALID, InvalidRecords
from streamer.datasets.output_folder import interrupted_by_sigterm, output_folder
from streamer.datasets.prediction_files import OutputFormat
from streamer.process import log
from streamer.profiles.profile import FileLayout
from streamer.settings import Settings
from streamer.terminal import echo, terminal
from streamer.tools.predict_source import predict_source


@contextmanager
def _show_progress() -> Iterator[Callable[[float, int], None]]:
    """Show the windows so far and the time left, if standard error is a terminal."""
    console = terminal(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn(compact=True))
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task("reading", total=1)

        def report(share: float, windows: int) -> None:
            bar.update(task, description=f"{windows:,} windows", completed=share)

        yield report


@click.command
@settings_options(
    "predictor",
    "model",
    "model_without_gyroscope",
    "endpoint",
    "endpoint_format",
    "endpoint_variable",
    "endpoint_labels",
    "batch_windows",
    "batch_wait_ms",
    "max_concurrency",
    "max_rate",
    "attempt_timeout_s",
    "predict_deadline_s",
    "hedge",
    "when_down",
    "smoothing",
    "min_confidence",
    "when_unsure",
    "when_unfamiliar",
    "log_level",
    "log_format",
)
@click.argument("source", type=click.Path(exists=True, path_type=Path))
@click.option(
    "--output", required=True, help="Folder to make, on disk or in S3 (s3://bucket/folder)."
)
@click.option(
    "--format",
    "file_format",
    type=click.Choice(("parquet", "csv")),
    default="parquet",
    show_default=True,
    help="Format of the files; Parquet needs the extra `streamer[parquet]`.",
)
@click.option(
    "--features/--no-features",
    "with_features",
    default=True,
    show_default=True,
    help="Write the features of the windows too.",
)
@click.option(
    "--max-invalid",
    type=click.IntRange(min=0),
    default=MOST_INVALID,
    show_default=True,
    help="Stop when more records than this are invalid.",
)
@profile_option
def predict(
    settings: Settings,
    source: Path,
    layout: FileLayout | None,
    output: str,
    file_format: OutputFormat,
    with_features: bool,
    max_invalid: int,
) -> None:
    """Predict the windows of SOURCE, and write features and labels to files.

    SOURCE is a folder RawData of recordings, with or without labels.txt; recordings of other
    devices (see --profile); the published data set (a folder or its zip); or CSV files that
    `streamer dataset convert` has written. Recordings get the labels that a worker publishes.
    Windows of feature tables are labelled one by one.

    The output is complete or absent: a folder with summary.json is complete.
    """
    log.configure(settings)
    prediction_files.require(file_format)
    invalid = InvalidRecords(max_invalid, print_note)
    with interrupted_by_sigterm(), output_folder(output) as folder, _show_progress() as report:
        found = asyncio.run(
            predict_source(
                settings,
                source,
                layout,
                folder,
                file_format,
                invalid,
                with_features=with_features,
                note=print_note,
                report=report,
            )
        )
    words = f"{output}: {found.windows} windows in {found.files} files"
    if found.refused:
        words += f"; the endpoint refused {found.refused} windows"
    if invalid.count:
        words += f"; {invalid.count} invalid records left out"
    echo(words)
