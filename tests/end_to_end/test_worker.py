"""The worker as its users see it: a process, a broker, topics, pages."""

import asyncio
import json
import signal
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from jsonschema import Draft202012Validator

import streamer
from streamer import __version__
from streamer.contracts.dead_letters import ORIGIN_OFFSET, REASON
from streamer.kafka import topics
from streamer.kafka.reader import open_reader, read_to_end
from streamer.kafka.topic_records import TopicRecord
from streamer.localkafka.broker import LocalKafka, free_ports
from streamer.process.summary import NO_EVENTS
from streamer.settings import Settings
from tests.conftest import MakeSettings
from tests.support.worker_process import (
    assert_balanced,
    run,
    simulate,
    total,
    values_of,
)

Found = list[TopicRecord]

SCHEMAS = Path(streamer.__file__).parent / "contracts" / "schemas"
FAULTS = [
    *("--jitter", "1", "--gap", "0.01", "--late", "0.02"),
    *("--duplicate", "0.02", "--bad", "0.02"),
]


async def found_in(settings: Settings, topic: str) -> Found:
    async with open_reader(settings, topic, "earliest", 10) as consumer:
        return [record async for record in read_to_end(consumer)]


@asynccontextmanager
async def producer(settings: Settings) -> AsyncIterator[AIOKafkaProducer]:
    async with AIOKafkaProducer(
        bootstrap_servers=settings.bootstrap_servers, max_request_size=4_000_000
    ) as started:
        yield started


async def test_the_counters_balance_and_agree_with_the_topics(
    make_settings: MakeSettings, tmp_path: Path
) -> None:
    settings = make_settings(partitions=3)
    await topics.ensure(settings)
    await asyncio.to_thread(
        simulate, settings, "--devices", "6", "--duration", "60", "--speed", "max", *FAULTS
    )
    readings = await found_in(settings, settings.readings_topic)
    with run(settings, tmp_path / "log", "--allowed-lateness-ms", "200") as worker:
        await asyncio.to_thread(worker.until_ready)
        while True:
            page = (await asyncio.to_thread(worker.get, "/metrics"))[1]
            assert_balanced(values := values_of(page))
            if total(values, "records_total") == len(readings) and not total(values, "lag_records"):
                break
        events = await found_in(settings, settings.events_topic)

        async def read_position() -> bool:
            nonlocal values, events
            values = values_of((await asyncio.to_thread(worker.get, "/metrics"))[1])
            events = await found_in(settings, settings.events_topic)
            return total(values, "events_total") == total(values, "windows_total") - sum(
                count
                for (outcome,), count in values["windows_total"].items()
                if outcome != "predicted"
            )

        async with asyncio.timeout(30):
            while not await read_position():  # noqa: ASYNC110 - of another process
                await asyncio.sleep(0.1)
        letters = await found_in(settings, settings.dlq_topic)
    assert len(events) == total(values, "events_total") > 100
    assert len(letters) == total(values, "rejects_total") == total(values, "dead_letters_total") > 0
    outcomes = {labels[0] for labels in values["samples_total"]}
    assert {"used", "late", "duplicate", "rejected"} <= outcomes
    assert total(values, "samples_waiting") > 0
    schema = json.loads((SCHEMAS / "activity-event.schema.json").read_text(encoding="utf-8"))
    validator = Draft202012Validator(schema)
    for event in events:
        validator.validate(json.loads(event.value or b""))


async def test_until_end_processes_the_existing_records_once_and_ends(
    make_settings: MakeSettings, tmp_path: Path
) -> None:
    settings = make_settings(partitions=2)
    await topics.ensure(settings)
    for devices, log in (("0", "empty"), ("3", "some"), ("0", "nothing new")):
        if devices != "0":
            flags = ["--devices", devices, "--duration", "20", "--speed", "max"]
            await asyncio.to_thread(simulate, settings, *flags)
        with run(settings, tmp_path / log, "--until-end") as worker:
            await asyncio.to_thread(worker.ends, 0, 30)
    events = [record.value for record in await found_in(settings, settings.events_topic)]
    # 20 s are 15.6 hops; a window needs two and a bit.
    assert len(events) == len(set(events))
    assert 3 * 13 <= len(events) <= 3 * 14


@pytest.mark.parametrize("ending", ["committed", "aborted"])
async def test_until_end_ends_behind_a_transaction_marker(
    make_settings: MakeSettings, tmp_path: Path, ending: str
) -> None:
    settings = make_settings(partitions=2)
    await topics.ensure(settings)
    await asyncio.to_thread(simulate, settings, "--devices", "3", "--duration", "5")
    async with AIOKafkaProducer(
        bootstrap_servers=settings.bootstrap_servers, transactional_id="corrections"
    ) as correcting:
        await correcting.begin_transaction()
        for partition in (0, 1):
            await correcting.send(settings.readings_topic, b"{", b"phone", partition)
        if ending == "committed":
            await correcting.commit_transaction()
        else:
            await correcting.abort_transaction()
    with (
        run(settings, tmp_path / "one", "--until-end") as one,
        run(settings, tmp_path / "other", "--until-end") as other,
    ):
        # A worker whose partitions had none but that record has published no event.
        await asyncio.to_thread(one.ends, 0, 30, NO_EVENTS)
        await asyncio.to_thread(other.ends, 0, 30, NO_EVENTS)
    letters = await found_in(settings, settings.dlq_topic)
    assert len(letters) == (2 if ending == "committed" else 0)


async def test_sigterm_under_load_commits_the_records_read_and_exits_with_zero(
    make_settings: MakeSettings, tmp_path: Path
) -> None:
    settings = make_settings(partitions=2)
    await topics.ensure(settings)
    flags = ["--devices", "50", "--duration", "100", "--speed", "max"]
    await asyncio.to_thread(simulate, settings, *flags)
    with run(settings, tmp_path / "first") as worker:
        await asyncio.to_thread(worker.until_it_says, "assigned")
        worker.process.send_signal(signal.SIGTERM)
        await asyncio.to_thread(worker.ends, 0, 10)
        assert "Traceback" not in worker.said
    with run(settings, tmp_path / "second", "--until-end") as worker:
        await asyncio.to_thread(worker.ends, 0, 60)
    ids = [
        json.loads(r.value or b"")["window_id"]
        for r in await found_in(settings, settings.events_topic)
    ]
    assert len(ids) == len(set(ids))
    assert len(ids) >= 50 * 75


def test_sigterm_ends_a_worker_that_waits_for_a_broker(tmp_path: Path) -> None:
    (port,) = free_ports(1)
    settings = Settings.load({"bootstrap_servers": f"127.0.0.1:{port}"})
    with run(settings, tmp_path / "log") as worker:
        worker.until_it_says("no Kafka broker answers, trying again")
        first_line = worker.said.splitlines()[0]
        for words in ("starting", __version__, settings.group_id, settings.readings_topic):
            assert words in first_line
        assert worker.get("/healthz")[0] == 200
        assert worker.get("/readyz")[0] == 503
        values = values_of(worker.get("/metrics")[1])
        for gauge in ("ready", "connected"):
            assert values[gauge] == {(): 0}
        assert values["not_ready"]["not connected",] == 1
        for gauge in ("worst_lag", "last_commit_age", "last_event_age", "newest_record_age"):
            assert values[f"{gauge}_seconds"][()] > 0
        assert values["process_cpu_seconds_total"][()] > 0
        worker.process.send_signal(signal.SIGTERM)
        worker.ends(0, 5)


async def test_a_second_ctrl_c_ends_at_once(tmp_path: Path) -> None:
    with LocalKafka() as kafka:
        settings = Settings.load({"bootstrap_servers": kafka.bootstrap_servers})
        await topics.ensure(settings)
        with run(settings, tmp_path / "log") as worker:
            await asyncio.to_thread(worker.until_ready)
            await asyncio.to_thread(simulate, settings, "--devices", "5", "--duration", "9")
            kafka.kill()  # what is on its way cannot be committed now
            worker.process.send_signal(signal.SIGINT)
            await asyncio.to_thread(worker.until_it_says, "Ctrl-C again")
            worker.process.send_signal(signal.SIGINT)
            await asyncio.to_thread(worker.ends, 130, 2)


async def test_every_published_record_ends_in_an_event_or_a_dead_letter(
    make_settings: MakeSettings, tmp_path: Path
) -> None:
    settings = make_settings(partitions=1)
    await topics.ensure(settings)
    reading = b'{"device_id": "phone", "timestamp": 1763906400000, "acc": [0,0,1], "gyro": [0,0,0]}'
    long_id = b"x" * 10_000
    bad: list[tuple[bytes | None, bytes | None, dict[str, Any], str]] = [
        (b"phone", None, {}, "tombstone"),
        (b"phone", b"{", {}, "malformed"),
        (b"phone", b"[" * 1_000_000, {}, "schema"),
        (b"other", reading, {}, "key"),
        (None, reading, {}, "key"),
        (long_id, reading.replace(b"phone", long_id), {}, "key"),
        (b"phone", reading, {"headers": [("content-type", b"text/plain")]}, "content_type"),
        (b"phone", reading.replace(b"1763906400000", b"-1"), {}, "timestamp"),
        (b"phone", reading.replace(b"1763906400000", b"99999999999999"), {}, "future"),
        (b"phone", reading.replace(b"[0,0,1]", b"[0,0,1e300]"), {}, "value"),
    ]
    async with producer(settings) as sending:
        for key, value, more, _ in bad:
            await sending.send_and_wait(settings.readings_topic, value, key, **more)
    with run(settings, tmp_path / "log", "--until-end") as worker:
        await asyncio.to_thread(worker.ends, NO_EVENTS, 30)
        assert "records were read and no event was published" in worker.said
        assert "10 records were rejected (key 3, " in worker.said
    letters = await found_in(settings, settings.dlq_topic)
    assert [(each.key, each.value) for each in letters] == [(key, value) for key, value, *_ in bad]
    assert [dict(each.headers)[REASON] for each in letters] == [why.encode() for *_, why in bad]
    assert [int(dict(each.headers)[ORIGIN_OFFSET] or b"") for each in letters] == list(
        range(len(bad))
    )


async def test_topics_that_do_not_fit_are_refused_with_a_remedy(
    make_settings: MakeSettings, tmp_path: Path
) -> None:
    settings = make_settings()
    admin = AIOKafkaAdminClient(bootstrap_servers=settings.bootstrap_servers)
    await admin.start()
    await admin.create_topics(
        [NewTopic(settings.readings_topic, 4, 1), NewTopic(settings.events_topic, 2, 1)]
    )
    await admin.close()
    with run(settings, tmp_path / "log") as worker:
        await asyncio.to_thread(worker.ends, 1, 30)
        assert f"Error: {settings.events_topic}: it has 2 partitions" in worker.said
        assert "Traceback" not in worker.said


def test_a_port_in_use_and_an_invalid_model_are_errors_at_the_start(tmp_path: Path) -> None:
    settings = Settings.load({})
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        with run(settings, tmp_path / "port", "--http-port", port) as worker:
            worker.ends(1)
            assert f"Error: cannot listen on 127.0.0.1:{port}" in worker.said
    (tmp_path / "model.npz").write_bytes(b"not a model")
    with run(settings, tmp_path / "model", "--model", str(tmp_path / "model.npz")) as worker:
        worker.ends(1)
        assert "model.npz cannot be used" in worker.said
