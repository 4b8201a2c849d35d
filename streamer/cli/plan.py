"""`streamer plan` computes the partitions, workers, network and endpoints that devices need."""

import click
import msgspec
from rich.table import Table

from streamer.contracts.readings import Format
from streamer.terminal import echo, terminal
from streamer.tools.plan import make_plan


@click.command()
@click.option("--devices", type=click.IntRange(1), required=True, help="Devices live at once.")
@click.option("--rate", type=click.FloatRange(1), default=50.0, show_default=True, help="Hz.")
@click.option(
    "--batch", type=click.IntRange(1), default=50, show_default=True, help="Samples in a record."
)
@click.option(
    "--format",
    "form",
    type=click.Choice([form.value for form in Format]),
    default=Format.JSON.value,
    show_default=True,
)
@click.option("--replicas", type=click.IntRange(1), default=3, show_default=True)
@click.option(
    "--retention", type=click.FloatRange(0.1), default=24.0, show_default=True, help="Hours."
)
@click.option("--json", "as_machine", is_flag=True, help="Print one JSON object.")
def plan(
    devices: int,
    rate: float,
    batch: int,
    form: str,
    replicas: int,
    retention: float,
    as_machine: bool,
) -> None:
    """Print the partitions, workers, network, storage and endpoints that devices need."""
    found = make_plan(devices, rate, batch, Format(form), replicas, retention)
    if as_machine:
        echo(msgspec.json.encode(found))
        return
    table = Table(box=None, show_header=False)
    table.add_column()
    table.add_column(justify="right")
    for name, value in (
        ("samples a second", f"{found.samples_s:,.0f}"),
        ("records a second", f"{found.records_s:,.0f}"),
        ("windows a second", f"{found.windows_s:,.0f}"),
        ("workers, a core each", f"{found.workers:,}"),
        ("memory of a worker", f"{found.worker_memory_mb:,.0f} MB"),
        ("partitions", f"{found.partitions:,}"),
        ("brokers", f"{found.brokers:,}"),
        ("readings", f"{found.readings_mb_s:,.1f} MB/s"),
        ("events", f"{found.events_mb_s:,.1f} MB/s"),
        (f"storage, {replicas} replicas, {retention:g} h", f"{found.storage_gb:,.0f} GB"),
        ("Amazon ML endpoints", f"{found.amazon_ml_endpoints:,}"),
        ("or SageMaker calls a second", f"{found.sagemaker_calls_s:,.0f}"),
    ):
        table.add_row(name, value)
    terminal().print(table)
    echo(f"First bottleneck: {found.breaks_first}.")
