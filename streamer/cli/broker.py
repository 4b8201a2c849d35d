"""`streamer broker` runs Apache Kafka on this machine."""

import signal
from pathlib import Path

import click

from streamer.cli.options import settings_options
from streamer.localkafka.broker import LocalKafka
from streamer.localkafka.jars import KAFKA_VERSION, fetch
from streamer.localkafka.security import ADMIN, BrokerSecurity
from streamer.process import log
from streamer.settings import Settings
from streamer.terminal import echo

MECHANISMS = {"plain": "PLAIN", "scram": "SCRAM-SHA-512"}


def _split(user: str) -> tuple[str, str]:
    name, _, password = user.partition(":")
    if not (name and password):
        raise click.BadParameter("should be NAME:PASSWORD", param_hint="--user")
    return name, password


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
@click.option(
    "--tls", is_flag=True, help="Encrypt connections, with certificates in the data folder."
)
@click.option(
    "--mutual-tls", is_flag=True, help="With --tls: clients must show a certificate, too."
)
@click.option(
    "--sasl",
    type=click.Choice(["plain", "scram"]),
    help="Require a login: PLAIN, or SCRAM-SHA-512.",
)
@click.option(
    "--user",
    "users",
    multiple=True,
    metavar="NAME:PASSWORD",
    help=f"A user of --sasl; may be repeated. [default: {ADMIN}:{ADMIN}]",
)
@click.option(
    "--acls",
    is_flag=True,
    help=f"Deny everything that no ACL allows. The user {ADMIN} may do everything.",
)
@click.option("--fetch-only", is_flag=True, help="Only download Apache Kafka.")
@settings_options("log_level", "log_format")
def broker(
    settings: Settings,
    port: int,
    data_dir: Path | None,
    cluster: str,
    fetch_only: bool,
    tls: bool,
    mutual_tls: bool,
    sasl: str | None,
    users: tuple[str, ...],
    acls: bool,
) -> None:
    """Run a real Apache Kafka until Ctrl-C or SIGTERM."""
    log.configure(settings)
    if fetch_only:
        fetch()
        echo(f"Kafka {KAFKA_VERSION} is on this machine")
        return
    security = None
    if tls or mutual_tls or sasl or acls:
        security = BrokerSecurity(
            tls=tls or mutual_tls,
            client_certificates=mutual_tls,
            sasl=[MECHANISMS[sasl]] if sasl else [],
            users=dict(_split(user) for user in users or (f"{ADMIN}:{ADMIN}",)) if sasl else {},
            acls=acls,
        )
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with LocalKafka(int(cluster), port, data_dir, security=security) as kafka:
            echo(f"Kafka {KAFKA_VERSION} is ready at {kafka.bootstrap_servers}")
            if security:
                echo(f"export STREAMER_BOOTSTRAP_SERVERS={kafka.bootstrap_servers}")
                echo(security.describe_clients(kafka.folder))
            kafka.wait()
    except KeyboardInterrupt:
        echo("Kafka has stopped")
