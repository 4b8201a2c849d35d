"""Each alert is provoked for real, and ends when an operator has done what its runbook says.

The times of the alerts are shorter, by `SHORTER` or as a test says; thresholds are not. They run in
`make chaos`; python -m pytest -m slow -s tests/end_to_end/test_alerts.py shows how long each took.
"""

import asyncio
import shutil
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete

from streamer.arrays import Floats
from streamer.contracts.encode import encode
from streamer.kafka.client import transactional_id
from streamer.localkafka.broker import free_ports
from streamer.model.artifact import WAIST_MODEL, load, save
from streamer.publishing.people import Person
from streamer.settings import Settings
from tests.conftest import MakeSettings
from tests.support.certificates import make_certificate
from tests.support.endpoint import Serve, set_faults
from tests.support.models import save_renamed
from tests.support.processes import until
from tests.support.prometheus import SHORTER, Prometheus, running_prometheus
from tests.support.worker_process import Process, run, simulate, where

pytestmark = pytest.mark.slow

BATCH = 10
"""Samples in a record: a fifth of a second."""

METRIC = [9.81, 9.81, 9.81, 1, 1, 1]
"""Factors that turn g and rad/s into m/s2 and rad/s."""

TURNED = [1, 2, 0, 4, 5, 3]
"""Axes of a phone that is worn in another orientation."""

Change = Callable[[Floats], Floats]


@contextmanager
def worker_at(
    settings: Settings, port: int, log: Path, *flags: str, before: str = ""
) -> Iterator[Process]:
    """A worker in a process of its own, at a port that stays the same when it starts again."""
    command = ["run", *where(settings), "--partitions", str(settings.partitions)]
    command += ["--http-port", str(port), *flags]
    worker = Process(log, *command, before=before)
    try:
        yield worker
    finally:
        worker.process.kill()
        worker.process.wait()


@asynccontextmanager
async def sending(
    settings: Settings,
    names: Sequence[str],
    change: Change = lambda rows: rows,
    *,
    shift_s: float = 0,
    late: bool = False,
    partition: int | None = None,
) -> AsyncIterator[None]:
    """Let devices send in real time while the context is open.

    Args:
        settings: name the topic.
        names: of the devices.
        change: what they send instead of a person's samples.
        shift_s: by how much their clocks are ahead.
        late: whether every second record is sent after the one that follows it.
        partition: to which they send; by their keys without it.
    """

    async def send() -> None:
        people = [Person(number) for number in range(len(names))]
        span_ms = BATCH * 20
        at_ms = (time.time() + shift_s) * 1000 - span_ms
        kept: list[tuple[bytes, bytes]] = []
        while True:
            for name, person in zip(names, people, strict=True):
                key, value, headers = encode(name, round(at_ms), 20, change(person.take(BATCH)[0]))
                if late and round(at_ms / span_ms) % 2:
                    kept.append((key, value))
                else:
                    await producer.send(
                        settings.readings_topic, value, key, partition=partition, headers=headers
                    )
            if not (late and round(at_ms / span_ms) % 2):
                for key, value in kept:
                    await producer.send(settings.readings_topic, value, key, partition=partition)
                kept = []
            at_ms += span_ms
            await asyncio.sleep(max(0.0, at_ms / 1000 - shift_s + span_ms / 1000 - time.time()))

    async with AIOKafkaProducer(bootstrap_servers=settings.bootstrap_servers) as producer:
        task = asyncio.create_task(send())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


@asynccontextmanager
async def refused(settings: Settings, a_second: int) -> AsyncIterator[None]:
    """Let a publisher send records that nobody can read while the context is open."""

    async def send() -> None:
        while True:
            for _ in range(a_second // 10):
                await producer.send(settings.readings_topic, b"{", b"broken")
            await asyncio.sleep(0.1)

    async with AIOKafkaProducer(bootstrap_servers=settings.bootstrap_servers) as producer:
        task = asyncio.create_task(send())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


def devices(number: int, prefix: str = "phone") -> list[str]:
    return [f"{prefix}-{index}" for index in range(number)]


class Watch:
    """Waits for alerts, and says how long each has taken."""

    def __init__(self, prometheus: Prometheus) -> None:
        self.prometheus = prometheus

    async def fires(self, *names: str) -> None:
        await self._wait(names, "fired", lambda name: name in self.prometheus.firing())

    async def ends(self, *names: str) -> None:
        await self._wait(names, "ended", lambda name: name not in self.prometheus.firing())

    async def _wait(self, names: Sequence[str], what: str, is_so: Callable[[str], bool]) -> None:
        began_s = time.monotonic()
        for name in names:
            await asyncio.to_thread(until, partial(is_so, name))
            print(f"{name} {what} after {time.monotonic() - began_s:.0f} s")


@asynccontextmanager
async def watching(
    folder: Path, url: str, times_shorter: int = SHORTER, **scrape: Any
) -> AsyncIterator[Watch]:
    """Watch the alerts of a worker; nothing fires at the beginning."""
    with running_prometheus(folder / "prometheus", [url], times_shorter, **scrape) as prometheus:
        await asyncio.to_thread(prometheus.until_scraped, 1)
        yield Watch(prometheus)


@asynccontextmanager
async def watched_worker(
    settings: Settings, folder: Path, *flags: str, times_shorter: int = SHORTER
) -> AsyncIterator[Watch]:
    """A ready worker, and a Prometheus that watches it."""
    partitions = ("--partitions", str(settings.partitions))
    with run(settings, folder / "worker.log", *partitions, *flags) as worker:
        await asyncio.to_thread(worker.until_ready)
        async with watching(folder, worker.url, times_shorter) as watch:
            yield watch


async def test_nothing_fires_while_all_is_well(make_settings: MakeSettings, tmp_path: Path) -> None:
    settings = make_settings(partitions=2)
    async with watched_worker(settings, tmp_path) as watch, sending(settings, devices(6)):
        seen = set()
        for _ in range(90):
            await asyncio.sleep(1)
            seen |= watch.prometheus.firing()
        assert seen == set()


async def test_a_worker_that_is_away_or_crashes_again_and_again(
    make_settings: MakeSettings, tmp_path: Path
) -> None:
    settings, port = make_settings(partitions=1), free_ports(1)[0]
    url = f"http://127.0.0.1:{port}"
    with worker_at(settings, port, tmp_path / "first.log") as worker:
        await asyncio.to_thread(worker.until_ready)
        async with watching(tmp_path, url, 10) as watch:
            worker.process.kill()
            await watch.fires("StreamerGone", "StreamerWorkerDown")
            for number in range(4):
                with worker_at(settings, port, tmp_path / f"{number}.log"):
                    # Prometheus has seen this process, before it is killed too.
                    await asyncio.to_thread(until, lambda: watch.prometheus.query("up == 1"))
                await asyncio.to_thread(until, lambda: watch.prometheus.query("up == 0"))
            with worker_at(settings, port, tmp_path / "last.log"):
                await watch.fires("StreamerCrashLoops")
                await watch.ends("StreamerGone", "StreamerWorkerDown", "StreamerCrashLoops")


async def test_an_endpoint_that_is_down_and_one_that_throttles(
    make_settings: MakeSettings, serve: Serve, tmp_path: Path
) -> None:
    settings = make_settings(partitions=1)
    flags = ["--predictor", "sagemaker", "--endpoint", "waist", "--predict-deadline-s", "5"]
    flags += ["--batch-windows", "1"]
    async with (
        serve() as address,
        watched_worker(settings, tmp_path, *flags) as watch,
        sending(settings, devices(20)),
    ):
        await set_faults(address, "error=503")
        await watch.fires("StreamerBreakerOpen", "StreamerEndpointDown")
        await watch.fires("StreamerLags", "StreamerStalled")
        await set_faults(address)
        await watch.ends(
            "StreamerBreakerOpen", "StreamerEndpointDown", "StreamerLags", "StreamerStalled"
        )
        await set_faults(address, "throttle=2/s")
        await watch.fires("StreamerThrottled")
        await set_faults(address)
        await watch.ends("StreamerThrottled")


async def test_records_that_are_refused_and_the_partition_that_is_held(
    make_settings: MakeSettings, tmp_path: Path
) -> None:
    settings, port = make_settings(partitions=1, reject_window_s=5), free_ports(1)[0]
    async with sending(settings, devices(4)), watching_later(tmp_path, port) as watch:
        with worker_at(settings, port, tmp_path / "worker.log", "--reject-window-s", "5") as worker:
            await asyncio.to_thread(worker.until_ready)
            async with refused(settings, 10):
                await watch.fires("StreamerRejects", "StreamerDeadLetters")
            async with refused(settings, 1000):
                await watch.fires("StreamerHeld")
        with worker_at(settings, port, tmp_path / "after.log", "--max-reject-share", "1"):
            await watch.ends("StreamerGone", "StreamerHeld", "StreamerRejects")
            await watch.ends("StreamerDeadLetters")


@asynccontextmanager
async def watching_later(folder: Path, port: int) -> AsyncIterator[Watch]:
    """Watch a worker that is not there yet."""
    with running_prometheus(folder / "prometheus", [f"http://127.0.0.1:{port}"]) as prometheus:
        yield Watch(prometheus)


async def test_devices_that_have_no_labels(make_settings: MakeSettings, tmp_path: Path) -> None:
    settings = make_settings(partitions=1)
    async with watched_worker(settings, tmp_path) as watch:
        async with sending(settings, devices(3, "sparse"), lambda rows: rows[:1]):
            await watch.fires("StreamerNoLabels")
        async with sending(settings, devices(3)):
            await watch.ends("StreamerNoLabels")


async def test_devices_that_send_other_units_or_are_worn_in_another_orientation(
    make_settings: MakeSettings, tmp_path: Path
) -> None:
    settings = make_settings(partitions=1)
    flags = ("--idle-timeout-s", "10", "--model", "waist")
    async with watched_worker(settings, tmp_path, *flags) as watch:
        async with sending(settings, devices(3, "metric"), lambda rows: rows * METRIC):
            await watch.fires("StreamerImplausible")
        async with sending(settings, devices(10, "turned"), lambda rows: rows[:, TURNED]):
            await watch.ends("StreamerImplausible")
            await watch.fires("StreamerUnfamiliarDevices")
        async with sending(settings, devices(10)):
            await watch.ends("StreamerUnfamiliarDevices")


async def test_people_who_move_unlike_those_of_the_training_data(
    make_settings: MakeSettings, tmp_path: Path
) -> None:
    settings = make_settings(partitions=1)
    rng = np.random.default_rng(1)

    def shake(rows: Floats) -> Floats:
        return rows + rng.normal(size=rows.shape) * [0.5, 0.5, 0.5, 3, 3, 3]

    async with watched_worker(settings, tmp_path) as watch:
        async with sending(settings, devices(30, "shaken"), shake):
            await watch.fires("StreamerDrift")
        more = ("--devices", "60", "--duration", "240", "--speed", "max", "--batch", "50")
        await asyncio.to_thread(simulate, settings, *more)
        await watch.ends("StreamerDrift")


async def test_samples_that_are_late_and_clocks_that_are_ahead(
    make_settings: MakeSettings, tmp_path: Path
) -> None:
    settings = make_settings(partitions=1)
    async with watched_worker(settings, tmp_path) as watch:
        async with sending(settings, devices(3, "late"), late=True):
            await watch.fires("StreamerLate")
        async with sending(settings, devices(3, "fast"), shift_s=20):
            await watch.ends("StreamerLate")
            await watch.fires("StreamerSkewedClocks")
        async with sending(settings, devices(3, "fast")):
            # Their clocks are set.
            await watch.ends("StreamerSkewedClocks")


async def test_a_partition_with_more_devices_than_it_may_have(
    make_settings: MakeSettings, tmp_path: Path
) -> None:
    settings = make_settings(partitions=1)
    async with watched_worker(settings, tmp_path, "--max-devices", "4") as watch:
        async with sending(settings, devices(6)):
            await watch.fires("StreamerCrowded")
        async with sending(settings, devices(4)):
            await watch.ends("StreamerCrowded")


async def test_a_fleet_that_falls_silent(make_settings: MakeSettings, tmp_path: Path) -> None:
    settings = make_settings(partitions=1)
    async with watched_worker(settings, tmp_path, "--idle-timeout-s", "5") as watch:
        async with sending(settings, devices(2, "faithful")):
            async with sending(settings, devices(8)):
                await asyncio.sleep(25)
                assert watch.prometheus.firing() == set()
            await watch.fires("StreamerFleetSilent")
            async with sending(settings, devices(8)):
                await watch.ends("StreamerFleetSilent")
        # Nobody sends: no device is forgotten, and the newest record becomes older.
        await watch.fires("StreamerFleetSilent")
        async with sending(settings, devices(2, "faithful")):
            await watch.ends("StreamerFleetSilent")


async def test_a_partition_that_waits_for_an_open_transaction(
    make_settings: MakeSettings, tmp_path: Path
) -> None:
    settings = make_settings(partitions=2)
    async with (
        watched_worker(settings, tmp_path) as watch,
        sending(settings, devices(2, "zero"), partition=0),
        sending(settings, devices(2, "one"), partition=1),
        AIOKafkaProducer(
            bootstrap_servers=settings.bootstrap_servers,
            transactional_id=f"{settings.group_id}-hangs",
            transaction_timeout_ms=600_000,
        ) as producer,
    ):
        await producer.begin_transaction()
        await producer.send_and_wait(settings.readings_topic, b"{}", b"hangs", partition=0)
        await watch.fires("StreamerPartitionStuck", "StreamerLags")
        assert "StreamerStalled" not in watch.prometheus.firing()
        await producer.abort_transaction()
        await watch.ends("StreamerPartitionStuck", "StreamerLags")


async def test_records_that_are_deleted_before_they_are_read(
    make_settings: MakeSettings, tmp_path: Path
) -> None:
    settings, port = make_settings(partitions=1), free_ports(1)[0]
    with worker_at(settings, port, tmp_path / "first.log") as worker:
        await asyncio.to_thread(worker.until_ready)
        await asyncio.to_thread(
            simulate, settings, "--devices", "2", "--duration", "30", "--speed", "max"
        )
        await asyncio.to_thread(
            until, lambda: "streamer_segments_total 0.0" not in worker.get("/metrics")[1]
        )
    more = ("--devices", "2", "--duration", "60", "--speed", "max")
    await asyncio.to_thread(simulate, settings, *more)
    partition = TopicPartition(settings.readings_topic, 0)
    admin = AIOKafkaAdminClient(bootstrap_servers=settings.bootstrap_servers)
    await admin.start()
    try:
        await admin.delete_records({partition: RecordsToDelete(before_offset=-1)})
    finally:
        await admin.close()
    with worker_at(settings, port, tmp_path / "after.log"):
        async with watching(tmp_path, f"http://127.0.0.1:{port}") as watch:
            await watch.fires("StreamerLosesRecords", "StreamerPositionReset")
            await watch.ends("StreamerLosesRecords", "StreamerPositionReset")


async def test_a_device_in_two_partitions(make_settings: MakeSettings, tmp_path: Path) -> None:
    settings = make_settings(partitions=2)
    async with watched_worker(settings, tmp_path) as watch:
        async with (
            sending(settings, ["twin"], partition=0),
            sending(settings, ["twin"], partition=1),
        ):
            await watch.fires("StreamerSplitDevices")
        async with sending(settings, ["twin"], partition=0):
            await watch.ends("StreamerSplitDevices")


async def test_a_worker_that_another_program_fences_again_and_again(
    make_settings: MakeSettings, tmp_path: Path
) -> None:
    settings = make_settings(partitions=1)
    name = transactional_id(settings, TopicPartition(settings.readings_topic, 0))
    async with (
        watched_worker(settings, tmp_path, times_shorter=10) as watch,
        sending(settings, devices(3)),
    ):
        while "StreamerKeepsRestarting" not in watch.prometheus.firing():
            async with AIOKafkaProducer(
                bootstrap_servers=settings.bootstrap_servers, transactional_id=name
            ):
                await asyncio.sleep(1)
        await watch.ends("StreamerKeepsRestarting")


SLOW_REPLAY = """
import time
from streamer.flow.partition_state import PartitionState
replay = PartitionState.replay
def slow(self, records):
    time.sleep(len(records) / 300)
    replay(self, records)
PartitionState.replay = slow
"""
"""A machine that replays 300 records a second."""


async def test_a_recovery_that_takes_long(make_settings: MakeSettings, tmp_path: Path) -> None:
    settings, port = make_settings(partitions=1), free_ports(1)[0]
    with worker_at(settings, port, tmp_path / "first.log") as worker:
        await asyncio.to_thread(worker.until_ready)
        some = ("--devices", "10", "--duration", "90", "--speed", "max", "--batch", "5")
        await asyncio.to_thread(simulate, settings, *some)
        async with sending(settings, devices(2)):
            await asyncio.sleep(8)
    with worker_at(settings, port, tmp_path / "slow.log", before=SLOW_REPLAY):
        async with watching(tmp_path, f"http://127.0.0.1:{port}") as watch:
            await watch.fires("StreamerRecoveryTakesLong")
            await watch.ends("StreamerRecoveryTakesLong")


async def test_memory_that_devices_do_not_explain(
    make_settings: MakeSettings, tmp_path: Path
) -> None:
    settings, port = make_settings(partitions=1), free_ports(1)[0]
    before = "ballast = bytearray(1) * 1_200_000_000\nballast[::4096] = b'x' * len(ballast[::4096])"
    with worker_at(settings, port, tmp_path / "first.log", before=before) as worker:
        await asyncio.to_thread(worker.until_ready)
        async with watching(tmp_path, f"http://127.0.0.1:{port}") as watch:
            await watch.fires("StreamerMemory")
            worker.process.terminate()
            await asyncio.to_thread(worker.process.wait)
            with worker_at(settings, port, tmp_path / "after.log"):
                await watch.ends("StreamerGone", "StreamerMemory")


async def test_a_certificate_that_expires(make_settings: MakeSettings, tmp_path: Path) -> None:
    settings, port = make_settings(partitions=1), free_ports(1)[0]
    chain, key = make_certificate(tmp_path, "old", days=3)
    new_chain, new_key = make_certificate(tmp_path, "new", days=90)
    trusted, tokens = tmp_path / "trusted.pem", tmp_path / "tokens"
    trusted.write_bytes(chain.read_bytes() + new_chain.read_bytes())
    tokens.write_text("secret-of-prometheus\n")
    flags = ("--http-certificate", str(chain), "--http-private-key", str(key))
    scrape: dict[str, Any] = {
        "tls_config": {"ca_file": str(trusted)},
        "authorization": {"credentials_file": str(tokens)},
    }
    with worker_at(
        settings, port, tmp_path / "worker.log", *flags, "--http-token-file", str(tokens)
    ):
        async with watching(tmp_path, f"https://127.0.0.1:{port}", **scrape) as watch:
            await watch.fires("StreamerCertificateExpires")
            shutil.copy(new_chain, chain)
            shutil.copy(new_key, key)
            await watch.ends("StreamerCertificateExpires")


def save_worse(file: Path) -> None:
    """Write a model that prefers what the shipped one thinks least likely."""
    model = load(WAIST_MODEL)
    save(file, replace(model, weights=-model.weights, bias=-model.bias))


async def test_a_shadow_that_disagrees(make_settings: MakeSettings, tmp_path: Path) -> None:
    settings, port = make_settings(partitions=1), free_ports(1)[0]
    save_worse(tmp_path / "shadow.npz")
    shadow = ["--shadow-predictor", "local", "--shadow-model", str(tmp_path / "shadow.npz")]
    first = ["--model", "waist"]
    async with sending(settings, devices(20)), watching_later(tmp_path, port) as watch:
        with worker_at(
            settings, port, tmp_path / "with.log", *first, *shadow, "--shadow-share", "1"
        ):
            await watch.fires("StreamerShadowDisagrees")
        # Somebody has found that the shadow is worse, and has removed it.
        with worker_at(settings, port, tmp_path / "without.log", *first):
            await watch.ends("StreamerGone", "StreamerShadowDisagrees")


async def test_a_canary_that_is_rolled_back(make_settings: MakeSettings, tmp_path: Path) -> None:
    settings, port = make_settings(partitions=1), free_ports(1)[0]
    file = tmp_path / "canary.npz"
    save_worse(file)
    flags = ["--model", "waist", "--canary-predictor", "local", "--canary-model", str(file)]
    flags += ["--canary-share", "0.5", "--model-check-s", "1"]
    async with sending(settings, devices(20)), watching_later(tmp_path, port) as watch:
        with worker_at(settings, port, tmp_path / "worker.log", *flags) as worker:
            await watch.fires("StreamerCanaryRolledBack")
            assert "the activity that the other model" in worker.get("/healthz")[1]
            save_renamed(WAIST_MODEL, file, "better")
            await watch.ends("StreamerCanaryRolledBack")
            decides = 'increase(streamer_predictions_total{model=~"better.*"}[20s]) > 0'
            assert watch.prometheus.query(decides), worker.said
