"""`streamer endpoint` runs a prediction server."""

import asyncio
from pathlib import Path

import click

from streamer.cli.options import settings_options
from streamer.prediction_server.endpoint_faults import EXAMPLES, EndpointFault
from streamer.prediction_server.served_model import load_served_model
from streamer.prediction_server.server import serve
from streamer.process import log
from streamer.settings import Settings


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port", default=8080, show_default=True, help="Port to listen on; 0 picks a free one."
)
@click.option(
    "--fault",
    "faults",
    multiple=True,
    metavar="FAULT",
    help=f"Inject a fault: {EXAMPLES}. While the server runs, PUT a JSON list of them to /faults.",
)
@click.option(
    "--state",
    type=click.Path(dir_okay=False, path_type=Path),
    help="SQLite file that keeps data sources, trained models, evaluations and batch predictions "
    "of Amazon ML. Default: they are kept in memory until the server ends.",
)
@settings_options("model", "endpoint_labels", "log_level", "log_format")
def endpoint(
    settings: Settings, host: str, port: int, faults: tuple[str, ...], state: Path | None
) -> None:
    """Serve a model with the protocols of Amazon ML and SageMaker until Ctrl-C or SIGTERM.

    To call it with the AWS SDK, set AWS_ENDPOINT_URL to its address. It does not check signatures.
    """
    log.configure(settings)
    parsed = [EndpointFault.parse(fault) for fault in faults]
    served = load_served_model(settings.model, settings.activities)
    asyncio.run(serve(served, host, port, parsed, state))
