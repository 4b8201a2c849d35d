"""`streamer broker` runs Apache Kafka on this machine."""

import signal
from pathlib import Path

import click

from streamer.cli.options import settings_options
from streamer.localkafka.broker import LocalKafka
from streamer.localkafka.jars import KAFKA_VERSION, fetch
from streamer.process import log
from streamer.settings import Settings
from streamer.terminal import echo


@click.command()
@click.option("--port", default=9092, show_default=True, help="Port of the first node.")
@click.option(
    "--data-dir",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Folder for the data of Kafka. Without it, the data are deleted when Kafka stops.",
)
@click.option(
    "--cluster",
    type=click.Choice(["1", "3"]),
    default="1",
    show_default=True,
    help="Number of nodes; each has its own port.",
)
@click.option("--fetch-only", is_flag=True, help="Only download Apache Kafka.")
@settings_options("log_level", "log_format")
def broker(
    settings: Settings, port: int, data_dir: Path | None, cluster: str, fetch_only: bool
) -> None:
    """Run a real Apache Kafka until Ctrl-C or SIGTERM."""
    log.configure(settings)
    if fetch_only:
        fetch()
        echo(f"Kafka {KAFKA_VERSION} is on this machine")
        return
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with LocalKafka(int(cluster), port, data_dir) as kafka:
            echo(f"Kafka {KAFKA_VERSION} is ready at {kafka.bootstrap_servers}")
            kafka.wait()
    except KeyboardInterrupt:
        echo("Kafka has stopped")
