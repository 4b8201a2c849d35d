"""`streamer replay` publishes recordings as devices."""

import asyncio
from pathlib import Path

import click

from streamer.cli.options import TOPICS, settings_options
from streamer.cli.profile_option import profile_option
from streamer.cli.publishing import sending_options
from streamer.process import log
from streamer.profiles.profile import FileLayout
from streamer.publishing.replay import replay as publish_recordings
from streamer.publishing.sending import Sending
from streamer.settings import Settings
from streamer.terminal import echo, terminal


@click.command()
@click.argument("source", type=click.Path(exists=True, path_type=Path))
@profile_option
@sending_options
@click.option(
    "--only",
    default="*",
    metavar="GLOB",
    help="Publish only devices whose id matches, such as 'exp0*' or '*_user01'.",
)
@click.option("--loop", is_flag=True, help="Repeat the recordings until Ctrl-C.")
@settings_options(
    *TOPICS,
    "readings_format",
    "log_level",
    "log_format",
)
def replay(
    settings: Settings,
    source: Path,
    layout: FileLayout | None,
    sending: Sending,
    only: str,
    loop: bool,
) -> None:
    """Publish the recordings in SOURCE, each as a device that sends at its own rate.

    SOURCE is the folder RawData of the public data set, or a folder with files of the same names.
    Its devices are called exp01_user01 and so on. With --profile, SOURCE is a file or folder that
    the profile describes.

    SOURCE can also be a file of JSON records (.json, .jsonl, .ndjson). They are published
    unchanged and all at once. The key of a record is the id of its device, which is found as
    --readings-format says.

    Ctrl-C stops after the records that are counted as sent have arrived.
    """
    log.configure(settings)
    console = terminal(stderr=True)
    sent = asyncio.run(
        publish_recordings(
            settings, source, sending, layout=layout, only=only, loop=loop, console=console
        )
    )
    echo(f"sent {sent}")
