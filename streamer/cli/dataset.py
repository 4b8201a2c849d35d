"""`streamer dataset`."""

from pathlib import Path

import click
import numpy as np
from rich.console import Console
from rich.progress import Progress

from streamer.features import scale
from streamer.files import replaced
from streamer.model.dataset import window_features
from streamer.model.recordings import read_windows


@click.group
def dataset() -> None:
    """Turn data sets of recordings into features."""


@dataset.command
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
@click.option("--scaled", is_flag=True, help="On the published scale, -1 to 1.")
def features(raw_dir: Path, windows: Path, output: Path, scaled: bool) -> None:
    """Compute the 561 features of listed windows of the recordings in RAW_DIR.

    RAW_DIR is the folder RawData of the public download. A window is 128 samples from `start0`
    (counted from 0) of its recording on; filters start at zero where the recording starts, as for
    the published features.
    """
    listed = read_windows(windows)
    console = Console(stderr=True)
    with Progress(console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task("windows", total=len(listed))
        computed = window_features(raw_dir, listed, lambda done: bar.advance(task, done))
    with replaced(output) as file:
        np.savez(file, row=[w.row for w in listed], X=scale(computed) if scaled else computed)
    click.echo(f"{output}: {len(listed)} windows")
