"""Kills workers and brokers at random, and compares the output with the expected output.

    python benchmarks/chaos.py [--kills 200] [--minutes 18] [--seed 0]
        [--store-features] [--models]

Up to three workers of a group read one log while it is written. If STREAMER_HAR_DIR is set, the log
contains recordings. Workers are killed with SIGKILL at random moments and at chosen points of a
transaction, stopped with SIGTERM, frozen and resumed; the broker is restarted from time to time. At
the end every event and every dead letter must be there once, with the bytes that a single worker
without failures publishes. With --models the model changes meanwhile and a canary decides for some
devices; each event must then have the bytes of the model that it names. With --store-features the
workers store windows, too; each must be there once, with the same features.

Every half minute a line says what has happened so far, and whether an event has come twice or with
other bytes. SIGTERM or Ctrl-C ends the kills; the comparison follows nevertheless.
"""

import asyncio
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path

import click
import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from streamer.datasets.feature_store import FeatureStore
from streamer.localkafka.broker import LocalKafka, free_ports
from streamer.model import artifact
from streamer.model.artifact import DEFAULT_MODEL
from streamer.predict.chosen_models import choose_feature_set
from streamer.settings import Settings
from streamer.storage.window_files import StoredWindows
from tests.support.doomed import EXACTLY_ONCE
from tests.support.feeding import append, feeding
from tests.support.fleet import Fleet, fleet
from tests.support.golden import Published, compare, golden, golden_as_decided, read_published
from tests.support.log import Log, make_log
from tests.support.models import save_renamed

NAMES = ("first", "second", "third")
FROZEN_S = 9.0
"""Longer than the session timeout: the group gives a frozen worker's partitions to others."""
REPORT_S = 30.0


class Models:
    """A model file that changes, and a canary; every version is kept for the comparison."""

    def __init__(self, folder: Path) -> None:
        self._path, canary = folder / "mine.npz", folder / "canary.npz"
        save_renamed(DEFAULT_MODEL, canary, "canary", favour=1)
        self.versions = [artifact.load(canary)]
        self.change()
        self.flags = [
            *("--model", str(self._path), "--model-without-gyroscope", "har-acc"),
            *("--model-check-s", "0.5", "--canary-predictor", "local"),
            *("--canary-model", str(canary), "--canary-share", "0.3"),
            # Only failures roll it back: the models differ on purpose.
            *("--canary-min-agreement", "0", "--canary-unknown-margin", "1"),
        ]

    def change(self) -> None:
        """Replace the model file."""
        number = len(self.versions)
        save_renamed(DEFAULT_MODEL, self._path, f"model-{number}", favour=number / 10)
        self.versions.append(artifact.load(self._path))


class Chaos:
    """Does something to workers or broker, chosen at random, and counts."""

    def __init__(
        self, rng: random.Random, workers: Fleet, kafka: LocalKafka, models: "Models | None" = None
    ) -> None:
        self._models = models
        self._rng = rng
        self._workers = workers
        self._kafka = kafka
        self.restarts = 0
        self.interrupted = False

    def __str__(self) -> str:
        rebalances = self._workers.count(" assigned ")
        return (
            f"{self._workers.kills} kills, {rebalances} rebalances, {self.restarts} broker restarts"
        )

    def interrupt(self) -> None:
        """End the kills; called by a signal."""
        self.interrupted = True

    async def strike(self) -> None:
        """One thing that may happen."""
        rng, workers = self._rng, self._workers
        name = rng.choice(NAMES)
        if self._models is not None and rng.random() < 0.3:
            self._models.change()
        if name not in workers.running:
            doom = (rng.choice(EXACTLY_ONCE), rng.randint(1, 5)) if rng.random() < 0.5 else None
            flags = ["--instance-id", name] if rng.random() < 0.7 else []
            flags += self.flags
            workers.start(name, *flags, doom=doom)
            await asyncio.sleep(rng.uniform(0, 3))
        elif workers.running[name].poll() is not None:
            workers.wait(name)
        elif (dice := rng.random()) < 0.8:
            workers.kill(name)
        elif dice < 0.9:
            await asyncio.to_thread(workers.stop, name)
        elif dice < 0.95:
            await self._freeze(name)
        else:
            await self._restart_broker()

    @property
    def flags(self) -> list[str]:
        """The flags of every worker."""
        return self._models.flags if self._models else []

    async def _freeze(self, name: str) -> None:
        """A worker that comes back when its partitions are another's must not publish."""
        process = self._workers.running[name]
        process.send_signal(signal.SIGSTOP)
        await asyncio.sleep(FROZEN_S)
        process.send_signal(signal.SIGCONT)

    async def _restart_broker(self) -> None:
        self.restarts += 1
        await asyncio.to_thread(self._rng.choice([self._kafka.stop, self._kafka.kill]))
        await asyncio.to_thread(self._kafka.start)


async def report(settings: Settings, chaos: Chaos, expected: Published | None) -> None:
    """Say what has happened so far. With models that change nothing is expected before the end."""
    line = str(chaos)
    if expected is not None:
        verdict = compare(expected, await read_published(settings))
        line += f", {verdict.duplicated} duplicated, {verdict.different} different"
    click.echo(f"so far: {line}")
    sys.stdout.flush()


async def unleash(
    settings: Settings,
    log: Log,
    workers: Fleet,
    chaos: Chaos,
    kills: int,
    end_s: float,
    expected: Published | None,
) -> None:
    """Write the log while things happen, until enough workers were killed or time is over."""
    for signal_number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(signal_number, chaos.interrupt)
    done, reported_s = 0.0, time.monotonic()
    while workers.kills < kills and time.monotonic() < end_s and not chaos.interrupted:
        share = min(1.0, (workers.kills + 1) / kills)
        if share > done:
            async with feeding(settings) as producer:
                await append(producer, settings.readings_topic, log, (done, share))
            done = share
        await chaos.strike()
        if time.monotonic() > reported_s + REPORT_S:
            await report(settings, chaos, expected)
            reported_s = time.monotonic()
    async with feeding(settings) as producer:
        await append(producer, settings.readings_topic, log, (done, 1))
    for name in list(workers.running):
        workers.kill(name)
    await asyncio.to_thread(workers.run_to_end, *chaos.flags)


def compare_stored(expected: Published, settings: Settings) -> list[str]:
    """Return what is wrong with the stored windows, and say how many there are."""
    wanted = StoredWindows.joined(expected.windows).sorted_once()
    store = FeatureStore.open(settings.store_features or "")
    files = [name for hour in store.list_hours() for name in hour.files]
    written = StoredWindows.joined([store.read_file(name) for name in files])
    found = store.read(choose_feature_set(settings))
    click.echo(
        f"stored windows: {len(found)} of {len(wanted)}, in {len(files)} files; "
        f"{len(written) - len(found)} of them in two files"
    )
    by_id = {pair: i for i, pair in enumerate(zip(wanted.device_ids, wanted.start_ms, strict=True))}
    rows = [by_id.get(pair) for pair in zip(written.device_ids, written.start_ms, strict=True)]
    known = [i for i, row in enumerate(rows) if row is not None]
    expected_features = wanted.features[[rows[i] for i in known]]
    different = (expected_features.view(np.uint32) != written.features[known].view(np.uint32)).any(
        axis=1
    )
    trouble = {
        "stored windows that do not exist": len(rows) - len(known),
        "windows that are not stored": len(wanted) - len(found),
        "stored windows with other features": int(different.sum()),
    }
    return [f"{what}: {count}" for what, count in trouble.items() if count]


@click.command()
@click.option("--kills", default=200, show_default=True)
@click.option("--minutes", default=18.0, show_default=True)
@click.option("--seed", default=0, show_default=True)
@click.option("--store-features", "stores", is_flag=True, help="Store windows, too.")
@click.option("--models", is_flag=True, help="Change the model meanwhile, and have a canary.")
def main(kills: int, minutes: float, seed: int, stores: bool, models: bool) -> None:
    """Exit code 1 if anything is lost, duplicated or different."""
    (port,) = free_ports(1)
    har = os.environ.get("STREAMER_HAR_DIR")
    log = make_log(600, Path(har) / "RawData" if har else None, seed)
    with (
        tempfile.TemporaryDirectory() as scratch,
        LocalKafka(port=port, data_dir=Path(scratch, "kafka")) as kafka,
    ):
        given: dict[str, object] = {
            "bootstrap_servers": kafka.bootstrap_servers,
            "allowed_lateness_ms": 300,
        }
        if stores:
            given |= {"store_features": f"{scratch}/features", "store_interval_s": 3}
        settings = Settings.load(given)
        with fleet(settings, Path(scratch)) as workers:
            changing = Models(Path(scratch)) if models else None
            chaos = Chaos(random.Random(seed), workers, kafka, changing)
            expected = asyncio.run(golden(log, settings))
            end_s = time.monotonic() + 60 * minutes
            known = None if changing else expected
            asyncio.run(unleash(settings, log, workers, chaos, kills, end_s, known))
            found = asyncio.run(read_published(settings))
            if changing is not None:
                expected = asyncio.run(golden_as_decided(log, settings, found, changing.versions))
            verdict = compare(expected, found)
            trouble = compare_stored(expected, settings) if stores else []
            click.echo(f"{chaos}: {verdict}")
            for line in trouble:
                click.echo(line, err=True)
            if trouble or not verdict.good:
                kept = shutil.copytree(scratch, f"{tempfile.mkdtemp(prefix='chaos-')}/all")
                click.echo(f"seed {seed}; out of order: {verdict.disordered}", err=True)
                click.echo(f"first that are missing: {verdict.examples}", err=True)
                click.echo(f"logs and Kafka's data are kept in {kept}", err=True)
                sys.exit(1)


if __name__ == "__main__":
    main()
