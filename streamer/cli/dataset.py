"""`streamer dataset` converts data sets, describes them, and computes features of their windows."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
import numpy as np
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from streamer.cli.profile_option import print_note, profile_option
from streamer.datasets.conversion import LABEL_STYLES, LabelStyle
from streamer.datasets.conversion import convert as convert_table
from streamer.datasets.feature_sources import read_feature_table
from streamer.datasets.feature_statistics import compute_statistics
from streamer.datasets.feature_table import MOST_INVALID, InvalidRecords
from streamer.datasets.output_folder import interrupted_by_sigterm, output_folder
from streamer.datasets.window_features import compute_window_features, read_window_list
from streamer.features import scale
from streamer.profiles.profile import FileLayout
from streamer.reports import html_page, statistics_report
from streamer.storage.atomic_files import atomic_file
from streamer.terminal import echo, terminal

Advance = Callable[[int], None]


@contextmanager
def _bars() -> Iterator[Callable[[str, int | None], Advance]]:
    """Yield a function that makes a progress bar, given what is counted and the total.

    It returns the function that advances the bar. A bar is visible from its first step on.
    """
    console = terminal(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:

        def make(what: str, total: int | None) -> Advance:
            task = progress.add_task(what, total=total, visible=False)
            return lambda done: progress.update(task, advance=done, visible=True)

        yield make


def _complain(message: str) -> None:
    echo(message, err=True)


def _source(command: Callable[..., Any]) -> Callable[..., Any]:
    most = click.option(
        "--max-invalid",
        type=click.IntRange(min=0),
        default=MOST_INVALID,
        show_default=True,
        help="Stop when more records than this are invalid.",
    )
    source = click.argument("source", type=click.Path(exists=True, path_type=Path))
    return source(profile_option(most(command)))


@click.group
def dataset() -> None:
    """Convert data sets, show their statistics, or compute features of their windows."""


@dataset.command(short_help="Compute the features of listed windows.")
@click.argument("raw_dir", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option(
    "--windows",
    required=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="CSV file with the columns row,subject,activity,experiment,start0.",
)
@click.option(
    "--output",
    required=True,
    type=click.Path(dir_okay=False, path_type=Path),
    help="File to write: arrays `row` and `X`, as numpy.load reads them.",
)
@click.option("--scaled", is_flag=True, help="Scale features to the published range, -1 to 1.")
def features(raw_dir: Path, windows: Path, output: Path, scaled: bool) -> None:
    """Compute the 561 features of listed windows of the recordings in RAW_DIR.

    RAW_DIR is the folder RawData of the public download. A window is 128 samples of its recording,
    from `start0` (counted from 0) on. The filters start at zero at the beginning of a recording, as
    for the published features.
    """
    listed = read_window_list(windows)
    with _bars() as bar:
        computed = compute_window_features(raw_dir, listed, bar("windows", len(listed)))
    with atomic_file(output) as file:
        np.savez(file, row=[w.row for w in listed], X=scale(computed) if scaled else computed)
    echo(f"{output}: {len(listed)} windows")


@dataset.command(short_help="Convert a data set to CSV files.")
@_source
@click.option(
    "--output", required=True, help="Folder to make, on disk or in S3 (s3://bucket/folder)."
)
@click.option(
    "--records-per-file",
    type=click.IntRange(min=1),
    help="Number of records in each file, such as 1000. Without it, one file is written.",
)
@click.option(
    "--labels",
    type=click.Choice(LABEL_STYLES),
    default=LABEL_STYLES[0],
    show_default=True,
    help="Write labels as numbers of the source, or as names.",
)
@click.option(
    "--with-subject",
    is_flag=True,
    help="Add the subject of each window as the last column; training from CSV needs it.",
)
def convert(
    source: Path,
    layout: FileLayout | None,
    output: str,
    records_per_file: int | None,
    labels: LabelStyle,
    with_subject: bool,
    max_invalid: int,
) -> None:
    """Convert SOURCE to CSV files with the label first, and a schema for Amazon ML.

    SOURCE is the published data set (a folder or its zip), a folder RawData of recordings with
    labels.txt, recordings of other devices (see --profile), or CSV files that were converted
    before. Recordings are cut into windows as for training.

    The output is complete or absent. For S3, the AWS SDK finds region, credentials and address.
    """
    invalid = InvalidRecords(max_invalid, _complain)
    with (
        interrupted_by_sigterm(),
        _bars() as bar,
        output_folder(output, bar("uploading", None)) as folder,
    ):
        table = read_feature_table(
            source, invalid, report=bar("reading", None), layout=layout, note=print_note
        )
        files = convert_table(
            table, folder, records_per_file, labels, with_subject, bar("writing", len(table))
        )
    echo(
        f"{output}: {len(table)} records in {len(files) - 1} files and a schema"
        + (f"; {invalid.count} invalid records left out" if invalid.count else "")
    )


@dataset.command(short_help="Describe a data set before training.")
@_source
@click.option(
    "--top",
    type=click.IntRange(min=0),
    default=20,
    show_default=True,
    help="Number of features to show, the most correlated ones.",
)
@click.option(
    "--report",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write an HTML page with plots and all features.",
)
def statistics(
    source: Path, layout: FileLayout | None, top: int, report: Path | None, max_invalid: int
) -> None:
    """Show statistics of SOURCE, to check a data set before training.

    Shows the classes and their sizes. For each feature it shows the distribution, missing and
    invalid values, and the correlation with the label. SOURCE is as for `streamer dataset convert`.
    """
    if report:
        html_page.require()
    invalid = InvalidRecords(max_invalid, _complain)
    with _bars() as bar:
        table = read_feature_table(
            source,
            invalid,
            incomplete=True,
            report=bar("reading", None),
            layout=layout,
            note=print_note,
        )
    described = compute_statistics(table)
    terminal().print(
        statistics_report.statistics_as_tables(described, table.names, invalid.count, top),
        highlight=False,
    )
    if report:
        text = statistics_report.statistics_as_page(described, table, str(source), invalid.count)
        with atomic_file(report) as file:
            file.write(text.encode())
        echo(f"{report}: open it in a browser")
