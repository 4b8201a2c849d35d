"""`streamer endpoint`: a prediction server."""

import asyncio

import click

from streamer.cli.options import settings_options
from streamer.endpoint.endpoint_faults import EndpointFault
from streamer.endpoint.served_model import load_served_model
from streamer.endpoint.server import serve
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
    help="What goes wrong: latency=200ms:10%, error=503:5%, throttle=200/s, hang:1%, half-open:1%,"
    " wrong-answer:1%, down=30s/5m. Also while it runs: PUT a JSON list of them to /faults.",
)
@settings_options("model", "endpoint_labels", "log_level", "log_format")
def endpoint(settings: Settings, host: str, port: int, faults: tuple[str, ...]) -> None:
    """Serve a model as Amazon ML and SageMaker do, until Ctrl-C or SIGTERM.

    The AWS SDK calls it when AWS_ENDPOINT_URL names its address. Signatures are not checked.
    """
    log.configure(settings)
    parsed = [EndpointFault.parse(fault) for fault in faults]
    served = load_served_model(settings.model, settings.activities)
    asyncio.run(serve(served, host, port, parsed))
