"""One log, one output, whatever happens to those who compute it."""

import asyncio
import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from streamer.contracts.events import decode_event
from streamer.contracts.segments import encode_current, encode_segment
from streamer.flow.pipeline import flow
from streamer.localkafka.broker import LocalKafka, free_ports
from streamer.metrics import Metrics
from streamer.predict.serving import Serving
from streamer.settings import Settings
from tests.conftest import MakeSettings
from tests.support.doomed import EXACTLY_ONCE
from tests.support.feeding import append, feeding
from tests.support.fleet import Fleet, fleet
from tests.support.golden import (
    Published,
    compare,
    golden,
    make_local_ask,
    make_partition_state,
    read_published,
)
from tests.support.log import Log, make_log
from tests.support.memory_log import ListSink, ListSource
from tests.support.other_devices import OTHER_DEVICES
from tests.support.segments import expected as expected_segments

LATENESS_MS = 300
NOT_LABELLED = {"in-other-units"}
SECONDS = 200


@pytest.fixture(scope="module")
def log() -> Log:
    return make_log(SECONDS)


@pytest.mark.parametrize(("size", "partitions"), [(1, [0]), (7, [0, 1]), (1000, [0, 1, 2])])
async def test_batches_of_any_size_give_the_same_output(
    size: int, partitions: list[int], log: Log
) -> None:
    settings = Settings.load({"allowed_lateness_ms": LATENESS_MS})
    models, metrics = Serving("", make_local_ask(settings)), Metrics()
    some = [records if i in partitions else [] for i, records in enumerate(log)]
    found = Published()
    with ThreadPoolExecutor(1) as cpu:
        for partition in partitions:
            source, sink = ListSource(some[partition], size), ListSink()
            state = make_partition_state(settings)
            await flow(source, state, lambda: models, sink, metrics, cpu)
            found.add(partition, sink.outputs)
    assert compare(await golden(some, settings), found).good


@pytest.fixture
def workers(make_settings: MakeSettings, tmp_path: Path) -> Iterator[tuple[Settings, Fleet]]:
    settings = make_settings(allowed_lateness_ms=LATENESS_MS, commit_interval_ms=5)
    with fleet(settings, tmp_path) as started:
        yield settings, started


async def assert_golden(settings: Settings, log: Log, workers: Fleet) -> None:
    await asyncio.to_thread(workers.run_to_end)
    verdict = compare(await golden(log, settings), await read_published(settings))
    assert verdict.good, f"{verdict}, order of {verdict.disordered}"


async def test_a_worker_killed_at_every_point_changes_nothing(
    workers: tuple[Settings, Fleet], log: Log
) -> None:
    settings, running = workers
    async with feeding(settings) as producer:
        for i, point in enumerate(EXACTLY_ONCE):
            share = (i / len(EXACTLY_ONCE), (i + 1) / len(EXACTLY_ONCE))
            await append(producer, settings.readings_topic, log, share)
            # A name that stays, so that nobody waits for the session timeout.
            running.start("doomed", "--instance-id", "one", doom=(point, 1 + i % 2))
            assert await asyncio.to_thread(running.wait, "doomed") == -9, running.text("doomed")
    assert running.kills == len(EXACTLY_ONCE)
    await assert_golden(settings, log, running)


async def test_workers_that_come_and_go_in_any_way_change_nothing(
    workers: tuple[Settings, Fleet], log: Log
) -> None:
    settings, running = workers
    rng = random.Random(4)
    names = ["first", "second", "third"]
    steps = 8
    async with feeding(settings) as producer:
        for i in range(steps):
            share = (i / steps, (i + 1) / steps)
            await append(producer, settings.readings_topic, log, share)
            name = rng.choice(names)
            if name not in running.running:
                flags = ["--instance-id", name] if rng.random() < 0.5 else []
                running.start(name, *flags)
            elif rng.random() < 0.5:
                running.kill(name)
            else:
                await asyncio.to_thread(running.stop, name)
            await asyncio.sleep(rng.uniform(0.5, 2.5))
    await asyncio.to_thread(running.stop, *running.running)
    await assert_golden(settings, log, running)


async def test_a_broker_that_is_restarted_or_crashes_changes_nothing(
    tmp_path: Path, log: Log
) -> None:
    (port,) = free_ports(1)
    with LocalKafka(port=port, data_dir=tmp_path / "kafka") as kafka:
        settings = Settings.load(
            {"bootstrap_servers": kafka.bootstrap_servers, "allowed_lateness_ms": LATENESS_MS}
        )
        with fleet(settings, tmp_path) as running:
            running.start("worker")
            for share, end in (((0, 0.3), kafka.stop), ((0.3, 0.6), kafka.kill)):
                async with feeding(settings) as producer:
                    await append(producer, settings.readings_topic, log, share)
                await asyncio.to_thread(end)
                await asyncio.to_thread(kafka.start)
            async with feeding(settings) as producer:
                await append(producer, settings.readings_topic, log, (0.6, 1))
            await asyncio.to_thread(running.stop, "worker")
            await assert_golden(settings, log, running)


async def test_at_least_once_loses_nothing_and_repeats_equal_bytes(
    make_settings: MakeSettings, tmp_path: Path, log: Log
) -> None:
    settings = make_settings(
        allowed_lateness_ms=LATENESS_MS, delivery="at-least-once", commit_interval_ms=5
    )
    with fleet(settings, tmp_path) as running:
        async with feeding(settings) as producer:
            for share in ((0, 0.4), (0.4, 1)):
                await append(producer, settings.readings_topic, log, share)
                doom = ("at least once: after sending, before the position", 2)
                running.start("doomed", "--instance-id", "one", doom=doom)
                assert await asyncio.to_thread(running.wait, "doomed") == -9
        await asyncio.to_thread(running.run_to_end)
    verdict = compare(await golden(log, settings), await read_published(settings))
    assert (verdict.lost, verdict.different, verdict.disordered) == (0, 0, [])
    assert verdict.duplicated > 0


def test_the_comparison_finds_lost_repeated_different_and_disordered_events() -> None:
    expected = Published(events={"a": [b"1", b"2"], "b": [b"3"]})
    lost = compare(expected, Published(events={"a": [b"1"], "b": [b"3"]}))
    assert (lost.lost, lost.duplicated, lost.different) == (1, 0, 0)
    twice = compare(expected, Published(events={"a": [b"1", b"2", b"2"], "b": [b"3"]}))
    assert (twice.lost, twice.duplicated, twice.different) == (0, 1, 0)
    other = compare(expected, Published(events={"a": [b"1", b"X"], "b": [b"3"]}))
    assert (other.lost, other.duplicated, other.different) == (0, 0, 1)
    order = compare(expected, Published(events={"a": [b"2", b"1"], "b": [b"3"]}))
    assert order.disordered == ["a"]
    assert not any(each.good for each in (lost, twice, other, order))


async def test_the_golden_log_is_reproducible_and_has_every_kind_of_record(log: Log) -> None:
    assert make_log(SECONDS) == log
    headers = {name for records in log for record in records for name, _ in record.headers}
    assert "content-type" in headers
    assert all(len(records) > 500 for records in log)
    published = await golden(log, Settings.load({"allowed_lateness_ms": LATENESS_MS}))
    labelled = {device for device, events in published.events.items() if len(events) > 50}
    assert labelled >= set(OTHER_DEVICES) - NOT_LABELLED
    assert "in-other-units" not in published.events


async def test_the_segments_of_a_log_are_what_a_reader_of_its_events_makes_of_them(
    log: Log,
) -> None:
    published = await golden(log, Settings.load({"allowed_lateness_ms": LATENESS_MS}))
    wanted: dict[tuple[str, str], list[bytes | None]] = {}
    for device_id, events in published.events.items():
        outcome = expected_segments(decode_event(event) for event in events)[device_id]
        wanted["closed", device_id] = [encode_segment(each) for each in outcome.closed]
        wanted["current", device_id] = [encode_current(each) for each in outcome.current]
    found = {key: values for key, values in published.segments.items() if key[0] != "open"}
    assert found == wanted
    assert sum(len(values) for (kind, _), values in wanted.items() if kind == "closed") > 100
