"""One worker process: its model, its HTTP port, its signals, its partitions."""

import asyncio
import os
import signal
import time

import structlog

from streamer import log as logging
from streamer.kafka import topics
from streamer.kafka.worker import Worker
from streamer.metrics import Metrics
from streamer.model import artifact
from streamer.ops.health import Health
from streamer.ops.http import serve
from streamer.predict.local import LocalPredictor
from streamer.settings import Settings

log = structlog.get_logger(__name__)


async def run(settings: Settings, *, until_end: bool = False) -> None:
    """Work until the end, a signal, or an error that trying again does not cure.

    Raises:
        StreamerError: something must be put right first.
    """
    logging.configure(settings)
    model = artifact.load(settings.model or artifact.SHIPPED)
    metrics, health = Metrics(), Health(time.monotonic)
    await topics.ensure(settings)
    worker = Worker(settings, metrics, health, LocalPredictor(model), until_end=until_end)
    _on_signals(worker)
    async with serve(settings, metrics, health) as port:
        log.info("working", metrics=f"http://{settings.http_host}:{port}/metrics")
        await worker.run()
    log.info("done")


def _on_signals(worker: Worker) -> None:
    """The first Ctrl-C or SIGTERM drains, a second Ctrl-C ends the process as it stands."""
    loop = asyncio.get_running_loop()

    def drain() -> None:
        log.info("stopping: committing what is on its way; Ctrl-C again to end at once")
        loop.add_signal_handler(signal.SIGINT, os._exit, 130)
        worker.stop()

    loop.add_signal_handler(signal.SIGINT, drain)
    loop.add_signal_handler(signal.SIGTERM, drain)
