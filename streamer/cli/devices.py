"""`streamer devices`."""

from pathlib import Path

import click

from streamer.cli.profile_option import profile_option
from streamer.datasets.recording_inspection import inspect_source
from streamer.profiles.profile import FileLayout
from streamer.reports.inspection_tables import inspection_as_tables
from streamer.terminal import echo, terminal


@click.group
def devices() -> None:
    """Look at what devices recorded."""


@devices.command
@click.argument("source", type=click.Path(exists=True, path_type=Path))
@profile_option
def inspect(source: Path, layout: FileLayout | None) -> None:
    """Say what the recordings in SOURCE are like, and how they can be read.

    Shows the rate, jitter and gaps of each sensor, the units that it looks like, whether gravity is
    included, and the labels. SOURCE is a file or folder that --profile describes, or a file of JSON
    readings, one a line. Without --profile those of the package are tried; if none fits, one is
    proposed.
    """
    found = inspect_source(source, layout)
    if found.profile:
        echo(f"Read with --profile {found.profile}.\n")
    if found.reports:
        terminal().print(inspection_as_tables(found.reports), highlight=False)
    if found.proposal is not None:
        echo("No profile of the package fits. This one is a guess; save it as mine.toml:\n")
        echo(found.proposal.toml)
        for remark in found.proposal.remarks:
            echo(f"- {remark}")
