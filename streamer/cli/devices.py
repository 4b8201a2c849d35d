"""`streamer devices` describes recordings of other devices."""

from pathlib import Path

import click
import msgspec

from streamer.cli.profile_option import profile_option
from streamer.datasets.recording_inspection import inspect_source
from streamer.profiles.profile import FileLayout
from streamer.reports.inspection_tables import inspection_as_tables
from streamer.terminal import echo, terminal


@click.group
def devices() -> None:
    """Inspect recordings of other devices."""


@devices.command(short_help="Describe recordings and find a profile.")
@click.argument("source", type=click.Path(exists=True, path_type=Path))
@profile_option
@click.option("--json", "as_machine", is_flag=True, help="Print one JSON object.")
def inspect(source: Path, layout: FileLayout | None, as_machine: bool) -> None:
    """Describe the recordings in SOURCE, and find a profile that can read them.

    Shows the rate, jitter and gaps of each sensor, the unit that its values seem to have, whether
    gravity is included, and the labels. SOURCE is a file or folder that --profile describes, or a
    file with one JSON reading in each line. Without --profile, the profiles of the package are
    tried. If none fits, a profile is proposed.
    """
    found = inspect_source(source, layout)
    if as_machine:
        echo(msgspec.json.encode(found))
        return
    if found.profile:
        echo(f"Read with --profile {found.profile}.\n")
    if found.reports:
        terminal().print(inspection_as_tables(found.reports), highlight=False)
    if found.proposal is not None:
        echo("No profile of the package fits. This proposal is a guess; save it as mine.toml:\n")
        echo(found.proposal.toml)
        for remark in found.proposal.remarks:
            echo(f"- {remark}")
