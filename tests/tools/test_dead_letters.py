"""`streamer dlq` on a real Kafka."""

import asyncio
import json
import tracemalloc
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.errors import ProducerFenced
from click.testing import CliRunner, Result

from streamer.cli import main
from streamer.contracts.dead_letters import make_dead_letter_headers
from streamer.contracts.records import OneRecord
from streamer.kafka import topics
from streamer.kafka.reader import open_reader, read_to_end
from streamer.localkafka.broker import LocalKafka
from streamer.settings import Settings
from streamer.tools import letter_replay
from streamer.tools.dead_letters import RECEIPT, REPLAYED_FROM, Letter, LetterId, Selection
from streamer.tools.letter_survey import Survey
from tests.conftest import MakeSettings
from tests.support.damaged_log import damage

REFUSED: list[tuple[bytes | None, bytes | None, list[tuple[str, bytes | None]], str]] = [
    (b"phone-1", b"{", [], "malformed"),
    (b"phone-2", None, [], "tombstone"),
    (b"phone-2", b'{"a": 1}', [("content-type", b"text/plain")], "content_type"),
    (b"\xff\x00", b"\xfe" * 5000, [("h", None)], "key"),
    (None, b"\x82\xa1a", [("content-type", b"application/msgpack")], "malformed"),
]


async def refuse(settings: Settings) -> None:
    """Dead letters as a worker writes them, 0:0 to 0:4."""
    await topics.ensure(settings)
    async with AIOKafkaProducer(bootstrap_servers=settings.bootstrap_servers) as producer:
        for offset, (key, value, headers, reason) in enumerate(REFUSED):
            record = OneRecord(key, value, headers, 0, offset)
            said = make_dead_letter_headers(
                record, settings.readings_topic, 0, reason, f"no {offset}"
            )
            await producer.send_and_wait(settings.dlq_topic, value, key, 0, headers=said)


async def dlq(settings: Settings, command: str, *arguments: str) -> Result:
    flags = [
        *("--bootstrap-servers", settings.bootstrap_servers),
        *("--readings-topic", settings.readings_topic, "--dlq-topic", settings.dlq_topic),
    ]
    return await asyncio.to_thread(CliRunner().invoke, main, ["dlq", command, *flags, *arguments])


Put = list[tuple[bytes | None, bytes | None, dict[str, bytes | None]]]


async def readings(settings: Settings) -> Put:
    async with open_reader(settings, settings.readings_topic, "earliest", 10) as consumer:
        return [(r.key, r.value, dict(r.headers)) async for r in read_to_end(consumer)]


async def test_letters_with_any_content_are_counted_by_reason_and_shown(
    make_settings: MakeSettings,
) -> None:
    settings = make_settings(partitions=1)
    await refuse(settings)
    groups = json.loads((await dlq(settings, "list", "--json")).output)
    assert {group["reason"]: group["letters"] for group in groups} == {
        "malformed": 2,
        "tombstone": 1,
        "content_type": 1,
        "key": 1,
    }
    assert "5 dead letters" in (await dlq(settings, "list")).output
    shown = (await dlq(settings, "show")).output
    assert all(f"no {i}" in shown for i in range(5))
    assert f"from     {settings.readings_topic} 0:3" in shown
    one = (await dlq(settings, "show", "0:2")).output
    assert one.count("from  ") == 1
    assert '{"a": 1}' in one
    missing = await dlq(settings, "show", "0:99")
    assert (missing.exit_code, "no such dead letter at 0:99" in missing.output) == (1, True)
    wrong = await dlq(settings, "show", "nine")
    assert (wrong.exit_code, "'nine' is not PARTITION:OFFSET" in wrong.output) == (2, True)


async def test_letters_are_put_back_once_and_unchanged(make_settings: MakeSettings) -> None:
    settings = make_settings(partitions=1)
    await refuse(settings)
    dry = await dlq(settings, "replay", "--dry-run")
    assert dry.output == "5 letters to put back\n"
    assert await readings(settings) == []
    assert (await dlq(settings, "replay", "0:2", "--yes")).output.endswith("put back 1 letters\n")
    assert (await dlq(settings, "replay", "--yes")).output.endswith("put back 4 letters\n")
    assert (await dlq(settings, "replay", "--yes")).output == "0 letters to put back\n"
    order = [2, 0, 1, 3, 4]
    assert await readings(settings) == [
        (key, value, dict(headers) | {REPLAYED_FROM: f"{settings.dlq_topic}:0:{i}".encode()})
        for i, (key, value, headers, _) in ((i, REFUSED[i]) for i in order)
    ]
    async with open_reader(settings, settings.dlq_topic, "earliest", 10) as consumer:
        receipts = [r.headers async for r in read_to_end(consumer) if RECEIPT in dict(r.headers)]
    assert len(receipts) == 5
    groups = json.loads((await dlq(settings, "list", "--json")).output)
    assert sum(group["put_back"] for group in groups) == 5


# dead letters   |- 0:0 to 0:4 -|## their receipts, damaged ##|- five more -|
async def test_letters_before_a_damaged_batch_are_listed_and_stay(
    kafka: LocalKafka, make_settings: MakeSettings
) -> None:
    settings = make_settings(partitions=1)
    await refuse(settings)
    assert "put back 5 letters" in (await dlq(settings, "replay", "--yes")).output
    damage(kafka, settings.dlq_topic, 5)
    await refuse(settings)
    listed = await dlq(settings, "list", "--json")
    assert listed.exit_code == 0, listed.output
    assert sum(group["letters"] for group in json.loads(listed.stdout.splitlines()[-1])) == 10
    found = await dlq(settings, "replay", "--dry-run")
    assert "5 letters to put back" in found.output
    assert "5 more stay: they are before a damaged batch" in found.output


async def test_a_letter_goes_back_to_its_partition_with_any_partitioner(
    make_settings: MakeSettings,
) -> None:
    """As the keys of another client's partitioner: ours would choose other partitions."""
    settings = make_settings(partitions=4)
    await topics.ensure(settings)
    async with AIOKafkaProducer(bootstrap_servers=settings.bootstrap_servers) as producer:
        for partition in range(4):
            record = OneRecord(b"phone", b"{", [], 0, 7)
            said = make_dead_letter_headers(
                record, settings.readings_topic, partition, "malformed", "no"
            )
            await producer.send_and_wait(settings.dlq_topic, b"{", b"phone", 0, headers=said)
    done = await dlq(settings, "replay", "--yes")
    assert done.output.endswith("put back 4 letters\n")
    async with open_reader(settings, settings.readings_topic, "earliest", 10) as consumer:
        partitions = [record.partition async for record in read_to_end(consumer)]
    assert sorted(partitions) == [0, 1, 2, 3]


async def test_two_replays_at_the_same_time_put_each_letter_back_once(
    make_settings: MakeSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    first     looks: 5 letters ... asks ................. puts back 0
    second                         puts back 5 letters
    """
    settings = make_settings(partitions=1)
    await refuse(settings)
    loop = asyncio.get_running_loop()

    def another_run_is_faster(*_: object, **__: object) -> bool:
        other = letter_replay.put_back(settings, Selection())
        return asyncio.run_coroutine_threadsafe(other, loop).result() == len(REFUSED)

    monkeypatch.setattr("click.confirm", another_run_is_faster)
    done = await dlq(settings, "replay")
    assert done.output == "5 letters to put back\nput back 0 letters\n"
    assert len(await readings(settings)) == len(REFUSED)


async def test_a_replay_that_another_one_has_fenced_fails_and_puts_nothing_back(
    make_settings: MakeSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    first     starts, reads receipts ........................ is fenced
    second                            puts back 5 letters
    """
    settings = make_settings(partitions=1)
    await refuse(settings)
    find, runs = letter_replay.find_waiting, 0

    async def find_before_another_run(*arguments: Any) -> letter_replay.Waiting:
        nonlocal runs
        runs += 1
        waiting = await find(*arguments)
        if runs == 1:
            assert await letter_replay.put_back(settings, Selection()) == len(REFUSED)
        return waiting

    monkeypatch.setattr(letter_replay, "find_waiting", find_before_another_run)
    with pytest.raises(ProducerFenced):
        await letter_replay.put_back(settings, Selection())
    assert len(await readings(settings)) == len(REFUSED)


async def test_many_letters_go_back_in_several_transactions_once(
    make_settings: MakeSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(letter_replay, "TRANSACTION_LETTERS", 3)
    settings = make_settings(partitions=1)
    await refuse(settings)
    assert (await dlq(settings, "replay", "--yes")).output.endswith("put back 5 letters\n")
    assert (await dlq(settings, "replay", "--yes")).output == "0 letters to put back\n"
    assert len(await readings(settings)) == 5


def test_a_survey_of_many_letters_keeps_no_letter() -> None:
    survey = Survey()
    letter = Letter(LetterId(0, 0), 0, b"k", b"v" * 1000, [], "t", LetterId(0, 0), "late", "d")
    tracemalloc.start()
    for offset in range(50_000):
        survey.add(
            replace(letter, id=LetterId(offset % 8, offset), value=bytes(1000), key=b"%d" % offset)
        )
    for offset in range(0, 50_000, 2):
        survey.add_receipt(LetterId(offset % 8, offset))
        survey.add_receipt(LetterId(offset % 8, offset))
    size, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    [group] = survey.groups()
    assert (group.letters, group.put_back, group.keys) == (50_000, 25_000, 50_000)
    assert size < 200 * 50_000


async def test_letters_are_put_back_with_corrections(
    make_settings: MakeSettings, tmp_path: Path
) -> None:
    settings = make_settings(partitions=1)
    await refuse(settings)
    file = tmp_path / "letters.jsonl"
    await dlq(settings, "show", "--reason", "malformed", "--output", str(file))
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    assert [line["letter"] for line in lines] == ["0:0", "0:4"]
    lines[0]["value"] = '{"device_id": "phone-1"}'
    file.write_text("\n".join(map(json.dumps, lines)))
    done = await dlq(settings, "replay", "--from", str(file), "--yes")
    assert done.output.endswith("put back 2 letters\n")
    values = [value for _, value, _ in await readings(settings)]
    assert values == [b'{"device_id": "phone-1"}', REFUSED[4][1]]

    file.write_text(json.dumps(lines[0]) + '\n{"letter": 7}\n')
    wrong = await dlq(settings, "replay", "--from", str(file), "--yes")
    assert (wrong.exit_code, f"{file}, line 2: " in wrong.output) == (1, True)
