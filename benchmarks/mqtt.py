"""Measures how fast a gateway takes what an MQTT broker has kept for it, and what a message costs.

    python benchmarks/mqtt.py [--messages 100000] [--devices 500] [--batch 12] [--version 5]

Devices publish to mosquitto while the gateway is away. Then the gateway starts, and takes all of
it. Processor time is that of the gateway's process after its first message.
"""

import asyncio
import sys
import tempfile
import time
from pathlib import Path

import click
import numpy as np
import psutil

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.figures import report
from benchmarks.gateway import gateway
from streamer.contracts.encode import encode
from streamer.contracts.readings import Format
from streamer.localkafka.broker import LocalKafka
from tests.support.gateway import metrics_at
from tests.support.mqtt import MqttDevices, mosquitto

TAKEN = 'streamer_gateway_readings_total{outcome="accepted",protocol="mqtt"}'


@click.command()
@click.option("--messages", default=100_000, show_default=True)
@click.option("--devices", default=500, show_default=True)
@click.option("--batch", default=12, show_default=True, help="Samples in a message.")
@click.option("--version", type=click.Choice(["5", "3.1.1"]), default="5", show_default=True)
def main(messages: int, devices: int, batch: int, version: str) -> None:
    with tempfile.TemporaryDirectory() as folder, LocalKafka() as kafka:
        figures = asyncio.run(run(kafka, Path(folder), messages, devices, batch, version))
    report([figures])


async def run(
    kafka: LocalKafka, folder: Path, messages: int, devices: int, batch: int, version: str
) -> dict[str, object]:
    async with mosquitto(folder) as port:
        options = [f"--mqtt-broker=127.0.0.1:{port}", "--mqtt-format=f32"]
        options += [f"--mqtt-version={version}", "--mqtt-client-id=gateway-1"]
        with gateway(kafka.bootstrap_servers, *options) as (http_port, _):
            await until(http_port, "streamer_gateway_mqtt_connected", 1)
        await publish(port, messages, devices, batch)
        with gateway(kafka.bootstrap_servers, *options) as (http_port, process):
            await until(http_port, TAKEN, 1)
            before = (await metrics_at(http_port))[TAKEN]
            cpu_s, begun_s = cpu_of(process), time.monotonic()
            await until(http_port, TAKEN, messages)
            taken = messages - before
            seconds = time.monotonic() - begun_s
            cpu_s = cpu_of(process) - cpu_s
    return {
        "benchmark": "gateway mqtt",
        "mqtt_version": version,
        "messages": messages,
        "samples_a_message": batch,
        "messages_per_s": round(taken / seconds),
        "cpu_us_per_message": round(1e6 * cpu_s / taken),
        "messages_per_s_and_core": round(taken / cpu_s),
    }


async def until(http_port: int, metric: str, least: float) -> None:
    """Wait until a metric of the gateway has grown to a value."""
    while (await metrics_at(http_port)).get(metric, 0) < least:  # noqa: ASYNC110 - it gives no event
        await asyncio.sleep(0.2)


def cpu_of(process: psutil.Process) -> float:
    return float(sum(process.cpu_times()[:2]))


async def publish(port: int, messages: int, devices: int, batch: int) -> None:
    """Publish messages of devices in turns, each with the samples after its last ones."""
    rows = np.tile([0.01, -0.98, 0.12, 0.02, 0.0, -0.01], (batch, 1))
    begin_ms = round(time.time() * 1000) - 20 * batch * messages // devices
    async with MqttDevices(port) as sender:
        for number in range(messages):
            device = f"phone-{number % devices:04d}"
            at_ms = begin_ms + 20 * batch * (number // devices)
            block = encode(device, at_ms, 20, rows, Format.F32)[1]
            await sender.publish(f"devices/{device}/readings", block)


if __name__ == "__main__":
    main()
