"""`streamer explain`, on a real broker: the event that the log gives is the published one."""

import asyncio
import json
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
from aiokafka import TopicPartition
from aiokafka.admin import RecordsToDelete
from click.testing import CliRunner, Result

from streamer.cli import main
from streamer.contracts.events import parse_window_id
from streamer.errors import DataError
from streamer.kafka import topics
from streamer.model import artifact
from streamer.model.registry import Registry
from streamer.reports.absence import Absence, check_grid
from streamer.settings import Settings
from streamer.testing import START_MS, readings
from streamer.tools.explain import explain_window
from tests.conftest import MakeSettings
from tests.support.member import publish, read_events, run_to_end, ten_seconds
from tests.support.worker_process import where

HOP_MS = 1280


async def explain(settings: Settings, window_id: str, *arguments: str) -> Result:
    flags = [*where(settings), *arguments]
    return await asyncio.to_thread(CliRunner().invoke, main, ["explain", window_id, *flags])


async def test_a_published_window_is_recomputed_to_the_byte_and_an_absent_one_is_explained(
    make_settings: MakeSettings, tmp_path: Path
) -> None:
    settings = make_settings(partitions=2)
    await topics.ensure(settings)
    await publish(settings, ten_seconds("phone-1"), 1)
    await publish(settings, ten_seconds("phone-2"), 0)
    await run_to_end(settings)
    events = [each for each in await read_events(settings) if each.device_id == "phone-1"]

    # The window in the middle, and the last one, which only the end of the log has closed.
    for place, event in ((3, events[3]), (-1, events[-1])):
        found = await explain_window(settings, event.window_id)
        assert found.identical, found.words
        assert found.recomputed == event
        assert found.before == events[place - 1]
        assert found.partition == 1

    # Another model says something else, and why.
    result = await explain(settings, events[3].window_id, "--model", "waist")
    assert result.exit_code == 4
    assert "the event is of the model har" in " ".join(result.stdout.split())
    assert "What speaks for" in result.stdout
    # So it does from a registry, which is read once.
    registry = Registry.open(str(tmp_path / "registry"))
    waist = artifact.load(artifact.WAIST_MODEL)
    registry.promote(registry.add(waist, data={}, figures={}, parent=None, note="").id)
    with mock.patch.object(
        Registry, "current", autospec=True, side_effect=Registry.current
    ) as read:
        again = await explain(settings, events[3].window_id, "--model-registry", registry.location)
    assert again.stdout == result.stdout
    assert read.call_count == 1
    # Jobs are not started for it; what the log and the event say is shown.
    s3 = ("--batch-location", "s3://bucket/windows", "--endpoint", "waist")
    batch = await explain(settings, events[3].window_id, "--predictor", "amazon-ml-batch", *s3)
    assert batch.exit_code == 4, batch.output
    assert "predicts in jobs" in " ".join(batch.stdout.split())

    later = f"phone-1/{events[-1].window_start + 2 * HOP_MS}"
    assert (await explain_window(settings, later)).absence is Absence.STILL_OPEN
    # Nobody has processed this device.
    await publish(settings, ten_seconds("phone-3"), 0)
    times_ms = range(START_MS, START_MS + HOP_MS)
    start_ms = next(each for each in times_ms if check_grid("phone-3", each) is None)
    found = await explain_window(settings, f"phone-3/{start_ms}")
    assert found.absence is Absence.NOT_PROCESSED
    assert found.recomputed is not None
    result = await explain(settings, f"phone-3/{start_ms + 1}", "--json")
    assert result.exit_code == 3
    assert f"the nearest ones are phone-3/{start_ms}" in json.loads(result.stdout)["words"]
    pytest.importorskip("matplotlib")
    page = tmp_path / "window.html"
    result = await explain(settings, events[3].window_id, "--html", str(page))
    assert result.exit_code == 0, result.output
    assert "the same bytes" in result.stdout
    assert page.read_text(encoding="utf-8").count("<figure") == 3


# gap     |--- 4 s ---|       10 s without       |--- 6 s ---|
# late    |--- 4 s ---|(4 s come at the end)|--- 8 s ---|
# units   |--- 10 s, acceleration in m/s2 ---|
# then all of it is deleted, and the device `gap` goes on
async def test_windows_without_an_event_are_explained_as_an_operator_meets_them(
    make_settings: MakeSettings,
) -> None:
    settings = make_settings()
    await topics.ensure(settings)
    parts = [ten_seconds("late", each) for each in (0.0, 10.0)]
    late = [*parts[0], *parts[1]]
    units = readings("units", np.tile([0.0, -9.81, 0.1, 0.1, 0.0, 0.0], (500, 1)))
    gap = [*ten_seconds("gap")[:4], *ten_seconds("gap", 14.0)[:6]]
    await publish(settings, [*gap, *late[:4], *late[8:], *late[4:8], *units])
    await run_to_end(settings)
    published = {event.window_id for event in await read_events(settings)}

    inside = {name: find_window(name, 5.3) for name in ("gap", "late", "units")}
    assert not published & set(inside.values())
    for name, absence, words in (
        ("gap", "no_readings", "gap: the device sent nothing in its time"),
        ("late", "late", "a larger allowed_lateness_ms waits for them"),
        ("units", "skipped", "implausible: its readings cannot be in g"),
    ):
        result = await explain(settings, inside[name], "--json")
        assert result.exit_code == 3, result.output
        found = json.loads(result.stdout)
        assert found["absence"] == absence, found["words"]
        assert words in found["words"]

    await delete_readings(settings)
    await publish(settings, ten_seconds("gap", 30.0))
    found = await explain_window(settings, inside["gap"])
    assert found.absence is Absence.BEFORE_RETENTION, found.words
    found = await explain_window(settings, inside["late"])
    assert found.absence is Absence.UNKNOWN_DEVICE
    assert "older records have been deleted" in found.words
    # An event is there, and its readings are not.
    result = await explain(settings, min(each for each in published if each.startswith("gap/")))
    assert result.exit_code == 4, result.output
    assert "a longer retention keeps them" in " ".join(result.stdout.split())


def find_window(device_id: str, seconds: float) -> str:
    """Return the window that starts first after some seconds of the recording."""
    begin_ms = START_MS + round(1000 * seconds)
    times_ms = range(begin_ms, begin_ms + HOP_MS)
    return next(f"{device_id}/{each}" for each in times_ms if check_grid(device_id, each) is None)


async def delete_readings(settings: Settings) -> None:
    """Delete all readings, as retention does."""
    async with topics.admin_client(settings, 10) as admin:
        partition = TopicPartition(settings.readings_topic, 0)
        await admin.delete_records({partition: RecordsToDelete(before_offset=-1)})


@pytest.mark.parametrize("wrong", ["phone-1", "/1763906400640", "phone-1/", "phone-1/x"])
def test_what_is_no_window_id_is_refused(wrong: str) -> None:
    with pytest.raises(DataError, match="is not the id of a window"):
        parse_window_id(wrong)
