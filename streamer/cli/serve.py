"""`streamer serve` runs the prediction server in a container of SageMaker."""

import asyncio
import os
from pathlib import Path

import click

from streamer.cli.options import settings_options
from streamer.prediction_server.served_model import find_mounted_model, load_served_model
from streamer.prediction_server.server import serve as serve_model
from streamer.process import log
from streamer.settings import Settings

MODELS = Path("/opt/ml/model")
"""Folder in which SageMaker unpacks the archive of the model."""


@click.command()
@settings_options("model", "endpoint_labels", "log_level", "log_format")
def serve(settings: Settings) -> None:
    """Serve the model that SageMaker has mounted, or the shipped one, on port 8080."""
    log.configure(settings)
    served = load_served_model(settings.model or find_mounted_model(MODELS), settings.activities)
    port = int(os.environ.get("SAGEMAKER_BIND_TO_PORT", "8080"))
    # SageMaker calls the container from outside.
    asyncio.run(serve_model(served, "0.0.0.0", port, []))  # noqa: S104
