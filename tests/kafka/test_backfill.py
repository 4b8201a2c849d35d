"""A backfill gives the events of the live workers again, in new topics."""

import asyncio
import json

import pytest
from click.testing import CliRunner
from msgspec.structs import replace

from streamer.cli import main
from streamer.contracts.events import encode_event
from streamer.contracts.records import OneRecord
from streamer.errors import DataError, SettingsError
from streamer.kafka import topics
from streamer.kafka.backfill import derive_settings, prepare
from streamer.process.backfill import run_backfill
from streamer.settings import Settings
from streamer.tools.event_comparison import compare_events
from tests.conftest import MakeSettings
from tests.support.member import (
    Member,
    publish,
    read_events,
    read_topic,
    run_to_end,
    ten_seconds,
)
from tests.support.worker_process import where

SETTINGS = Settings(readings_topic="readings", events_topic="events", group_id="live")


async def test_a_backfill_that_was_interrupted_gives_the_events_of_the_live_workers(
    make_settings: MakeSettings,
) -> None:
    #  phone-1, partition 1   |--- context ---|--- range ---|
    #  phone-2, partition 0                   |--- range ---|
    live = make_settings(partitions=2, smoothing=False)
    await topics.ensure(live)
    await publish(live, ten_seconds("phone-1"), 1)
    await publish(live, ten_seconds("phone-2"), 0)
    await run_to_end(live)
    readings = await read_topic(live, live.readings_topic)
    begin_ms = next(each.timestamp for each in readings if (each.partition, each.offset) == (1, 3))
    end_ms = max(record.timestamp for record in readings) + 1
    new = derive_settings(live, f"{live.events_topic}-new")

    # The first attempt is stopped before it has done anything, the second one goes on.
    ranges = await prepare(new, begin_ms, end_ms)
    assert [part.end for part in ranges.values()] == [10, 10]
    stopped = Member(new, until_end=True)
    stopped.stopping.set()
    await stopped.run()
    assert await prepare(new, begin_ms, end_ms) == ranges
    await run_to_end(new)

    found = await compare_events(live, new.events_topic)
    assert (found.same_activity, found.changed.total(), found.added.total()) == (0, 0, 0)
    assert set(found.missing) <= {"phone-1"}
    assert found.equal > 5
    compare = ["events", "compare", new.events_topic, "--json"]
    arguments = [*compare, *where(new, "events_topic")]  # with itself
    result = await asyncio.to_thread(CliRunner().invoke, main, arguments)
    assert result.exit_code == 0, result.output
    # A device that the live workers have not seen.
    there = new.model_copy(update={"readings_topic": new.events_topic})
    event = replace((await read_events(new))[0], device_id="phone-9", window_id="phone-9/1280")
    await publish(there, [OneRecord(b"phone-9", encode_event(event), [], 0, 0)])
    arguments = [*compare, *where(live, "events_topic")]
    result = await asyncio.to_thread(CliRunner().invoke, main, arguments)
    assert result.exit_code == 4, result.output
    assert json.loads(result.stdout)["devices"]["added"] == {"phone-9": 1}

    # Another range needs another group.
    with pytest.raises(DataError, match="outside of the range"):
        await prepare(new, begin_ms, end_ms - 1)
    with pytest.raises(DataError, match="has no readings from"):
        await prepare(derive_settings(live, f"{live.events_topic}-x"), 0, 1000)


async def test_workers_that_go_on_with_a_backfill_publish_each_window_once_across_the_cut_over(
    make_settings: MakeSettings,
) -> None:
    #  readings       |-- phone-1 from 0 s, phone-2 from 0 s --|-- phone-1, phone-2 go on --|
    #  live workers   |--------------------------------------------------------------------|
    #  backfill       |--------- ends at the cut-over ---------|
    #  new workers                                             |-- its group and topics ---|
    live = make_settings(partitions=2)
    await topics.ensure(live)
    sent = {partition: ten_seconds(f"phone-{partition}") for partition in range(2)}
    later = {partition: ten_seconds(f"phone-{partition}", 10.0) for partition in range(2)}
    for partition, records in sent.items():
        await publish(live, records, partition)
    readings = await read_topic(live, live.readings_topic)
    begin_ms = min(record.timestamp for record in readings)
    cut_over_ms = max(record.timestamp for record in readings) + 1
    await asyncio.sleep(0.01)  # so that no later record has a time of the range
    for partition, records in later.items():
        await publish(live, records, partition)
    await run_to_end(live)

    new = derive_settings(live, f"{live.events_topic}-new")
    await run_backfill(new, begin_ms, cut_over_ms)
    at_cut_over = await read_events(new)
    await run_to_end(new)

    identities = [event.window_id for event in await read_events(new)]
    assert len(set(identities)) == len(identities) > len(at_cut_over) > 0
    found = await compare_events(live, new.events_topic)
    assert found.is_equal, found


def test_a_backfill_never_writes_to_the_topics_of_the_live_workers() -> None:
    for name in (SETTINGS.readings_topic, *SETTINGS.output_topics):
        with pytest.raises(SettingsError, match="a topic of the live workers"):
            derive_settings(SETTINGS, name)
    new = derive_settings(SETTINGS, "new")
    assert not {*SETTINGS.output_topics, SETTINGS.group_id} & {*new.output_topics, new.group_id}
    asked = SETTINGS.model_copy(update={"predictor": "sagemaker", "endpoint": "http://x"})
    with pytest.raises(SettingsError, match="max_rate"):
        derive_settings(asked, "new")
    assert derive_settings(asked.model_copy(update={"max_rate": 5.0}), "new").max_rate == 5.0


def test_a_backfill_has_no_shadow_no_canary_and_no_store_of_the_live_workers() -> None:
    live = Settings.load(
        {
            "shadow_predictor": "sagemaker",
            "shadow_endpoint": "next",
            "canary_predictor": "local",
            "canary_model": "next.npz",
            "store_features": "s3://bucket/features",
        }
    )
    assert live.shadow is not None
    new = derive_settings(live, "new")
    assert (new.shadow, new.canary, new.store_features) == (None, None, None)
    assert new.shadow_topics == ()
