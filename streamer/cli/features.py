"""`streamer features` looks at the windows that workers have stored."""

import asyncio
import time
from collections import Counter

import click
import msgspec
from rich.table import Table

from streamer.cli.options import settings_options
from streamer.cli.progress import show_progress
from streamer.datasets.feature_store import FeatureStore
from streamer.datasets.ground_truth import Joined, join_labels
from streamer.errors import SettingsError
from streamer.kafka.ground_truth import read_labels
from streamer.predict.chosen_models import choose_feature_set
from streamer.process import log
from streamer.settings import Settings
from streamer.terminal import echo, terminal


@click.group()
def features() -> None:
    """List stored windows, join them with ground truth, and join their files."""


def open_feature_store(settings: Settings) -> FeatureStore:
    """Open the store that the settings name.

    Raises:
        SettingsError: they name none.
    """
    if settings.store_features is None:
        raise SettingsError(
            "store_features is not set: it names the folder, or s3://bucket/prefix, in which "
            "workers store features"
        )
    return FeatureStore.open(settings.store_features)


@features.command("list")
@settings_options("store_features")
def list_hours(settings: Settings) -> None:
    """List the hours that have windows, with their windows, devices and files."""
    store = open_feature_store(settings)
    table = Table("features", "hour", "windows", "devices", "files", box=None, pad_edge=False)
    hours = store.list_hours()
    with show_progress() as report:
        for number, (folder, files) in enumerate(hours):
            report("hours of windows", number, len(hours))
            windows = store.read_hour(folder)
            if windows is not None:
                kind, _, hour = folder.rpartition("/")
                devices = len(set(windows.device_ids.tolist()))
                counts = (str(len(windows)), str(devices), str(len(files)))
                table.add_row(kind, hour, *counts)
    if not table.row_count:
        echo(f"{store.location} has no windows")
    else:
        terminal().print(table)


@features.command()
@settings_options(
    "bootstrap_servers",
    "labels_topic",
    "label_activities",
    "store_features",
    "model",
    "model_registry",
)
@click.option("--json", "as_machine", is_flag=True, help="Print one JSON object.")
def join(settings: Settings, as_machine: bool) -> None:
    """Join stored windows with ground truth, and count the windows of each device and activity."""
    log.configure(settings)
    with show_progress() as report:
        store = open_feature_store(settings)
        windows = store.read(choose_feature_set(settings), report=report)
        labels = asyncio.run(read_labels(settings))
    now_ms = time.time_ns() // 1_000_000
    joined = join_labels(windows, labels, settings.known_activities, now_ms)
    pairs = zip(joined.windows.device_ids.tolist(), joined.activities.tolist(), strict=True)
    counts = Counter(pairs)
    if as_machine:
        rows = [
            {"device_id": device, "activity": activity, "windows": count}
            for (device, activity), count in sorted(counts.items())
        ]
        unlabelled = {"unlabelled": joined.unlabelled, "unusable": joined.unusable}
        unknown = {"unknown_devices": joined.unknown_devices}
        echo(msgspec.json.encode({"windows": rows} | unlabelled | unknown))
        return
    table = Table("device", "activity", "windows", box=None, pad_edge=False)
    for (device, activity), count in sorted(counts.items()):
        table.add_row(device, activity, str(count))
    terminal().print(table)
    echo(f"{len(joined.windows)} windows have ground truth, {joined.unlabelled} have none")
    report_unused_labels(joined)


def report_unused_labels(joined: Joined) -> None:
    """Print the labels that count for nothing, and why."""
    for problem in joined.unusable:
        echo(problem, err=True)
    if joined.unknown_devices:
        echo(
            "these devices have labels and no stored windows: "
            f"{', '.join(joined.unknown_devices)}; check their ids, and the times at which "
            "workers stored features",
            err=True,
        )


@features.command()
@settings_options("store_features", "model", "model_registry")
def compact(settings: Settings) -> None:
    """Join the files of each hour that has ended into one file.

    Readers may read meanwhile. Run one at a time.
    """
    store = open_feature_store(settings)
    names = choose_feature_set(settings).names
    with show_progress() as report:
        gone = store.compact(time.time_ns() // 1_000_000, names, report)
    echo(f"{store.location}: {gone} files are now part of others")
