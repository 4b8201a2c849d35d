"""Runs broker, endpoint, worker and devices on one machine, and shows the live table."""

import asyncio
import tempfile
from contextlib import suppress
from pathlib import Path

from rich.console import Console

from streamer.kafka import topics
from streamer.localkafka.broker import LocalKafka, free_ports
from streamer.settings import Settings
from streamer.tools.programs import run_program, watch_programs

_ASKING = ["--predictor", "sagemaker", "--endpoint", "waist", "--endpoint-format", "npy"]


def show_demo(settings: Settings, devices: int, console: Console) -> None:
    """Run the demo until Ctrl-C, and end everything it has started.

    Args:
        settings: of the worker; the demo chooses the brokers.
        devices: number of simulated people.
        console: shows the table.

    Raises:
        StreamerError: a part of the demo has ended unexpectedly.
    """
    with tempfile.TemporaryDirectory(prefix="streamer-demo-") as scratch:
        console.print("Starting Apache Kafka ...")
        with LocalKafka() as kafka:
            settings = settings.model_copy(update={"bootstrap_servers": kafka.bootstrap_servers})
            where = ["--bootstrap-servers", kafka.bootstrap_servers]
            [port] = free_ports(1)
            address = f"http://127.0.0.1:{port}"
            endpoint = ["endpoint", "--port", str(port)]
            worker = ["run", *where, "--http-port", str(settings.http_port), *_ASKING]
            people = ["simulate", *where, "--devices", str(devices), "--batch", "10"]
            asyncio.run(topics.ensure(settings))
            with (
                run_program("endpoint", endpoint, Path(scratch)) as answering,
                run_program("worker", worker, Path(scratch), _aws(address)) as working,
                run_program("devices", people, Path(scratch)) as publishing,
            ):
                console.print(
                    f"Kafka     {kafka.bootstrap_servers}\n"
                    f"endpoint  streamer {' '.join(endpoint)}\n"
                    f"worker    AWS_ENDPOINT_URL={address} streamer {' '.join(worker)}\n"
                    f"devices   streamer {' '.join(people)}\n"
                    f"metrics   http://{settings.http_host}:{settings.http_port}/metrics\n"
                    f"logs      {scratch}\n"
                    "First labels after some 5 seconds; Ctrl-C ends everything.\n",
                    highlight=False,
                    soft_wrap=True,
                )
                with suppress(KeyboardInterrupt):
                    asyncio.run(watch_programs(settings, console, [answering, working, publishing]))
                console.print("Stopping ...")


def _aws(address: str) -> dict[str, str]:
    """Return the environment that makes the AWS SDK call our endpoint and no other."""
    return {
        "AWS_ENDPOINT_URL": address,
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "demo",
        "AWS_SECRET_ACCESS_KEY": "demo",
    }
