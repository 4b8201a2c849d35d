"""What a device did on a day, read from the topics that a worker writes."""

import asyncio
import datetime as dt
import json
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from click.testing import CliRunner, Result

from streamer.cli import main
from streamer.contracts.segments import HOP_MS
from streamer.errors import DataError, TopicError
from streamer.kafka import topics
from streamer.reports.day import Day
from streamer.settings import Settings
from streamer.testing import START_MS
from streamer.tools.day_segments import read_day
from tests.conftest import MakeSettings
from tests.support.member import (
    Member,
    publish,
    read_events,
    run_to_end,
    ten_seconds,
    until_devices,
    working,
)
from tests.support.worker_process import where

DAY = Day.of(dt.datetime.fromtimestamp(START_MS / 1000, dt.UTC).date(), ZoneInfo("UTC"))
NEXT_DAY = Day.of(DAY.date + dt.timedelta(days=1), DAY.zone)


async def report(settings: Settings, *arguments: str) -> Result:
    names = ("events_topic", "segments_topic", "current_topic")
    flags = [*where(settings, *names), *arguments]
    return await asyncio.to_thread(CliRunner().invoke, main, ["report", *flags])


async def test_the_report_of_a_day_agrees_with_the_events_and_bad_input_is_a_clear_error(
    make_settings: MakeSettings, tmp_path: Path
) -> None:
    settings = make_settings(partitions=2)
    with pytest.raises(TopicError, match=f"there is no topic {settings.current_topic}"):
        await read_day(settings, "phone-1", DAY)
    await topics.ensure(settings)
    await publish(settings, ten_seconds("phone-1"), 1)
    async with working(Member(settings)):
        await until_devices(settings, "phone-1")
    windows = len(await read_events(settings))

    # The worker has been stopped, so the last segment is open.
    found = await read_day(settings, "phone-1", DAY)
    assert found.minutes_with_data * 60_000 == pytest.approx(windows * HOP_MS)
    assert [each.is_open for each in found.stretches][-1:] == [True]

    # The end of the log ends it.
    await run_to_end(settings)
    ended = await read_day(settings, "phone-1", DAY)
    assert ended.minutes_with_data == found.minutes_with_data
    assert not any(each.is_open for each in ended.stretches)

    page = tmp_path / "day.html"
    at = ["--day", DAY.date.isoformat()]
    result = await report(settings, "--device", "phone-1", *at, "--json")
    assert result.exit_code == 0, result.output
    assert sum(each["minutes"] for each in json.loads(result.stdout)["activities"]) > 0
    result = await report(settings, "--device", "phone-1", *at, "--tz", "Asia/Tokyo")
    assert "phone-1 on Sunday 2025-11-23, Asia/Tokyo" in result.stdout
    assert "\n23:00  " in result.stdout

    with pytest.raises(DataError, match=r"no segments of a device 'phone-2'; is phone-1 meant\?"):
        await read_day(settings, "phone-2", DAY)
    with pytest.raises(DataError, match=f"{NEXT_DAY.date} .UTC.; it has some from {DAY.date} to "):
        await read_day(settings, "phone-1", NEXT_DAY)
    unnamed = settings.model_copy(update={"segments_topic": ""})
    with pytest.raises(DataError, match="segments_topic is empty"):
        await read_day(unnamed, "phone-1", DAY)
    for wrong in (["--day", "today"], ["--tz", "Paris"]):
        result = await report(settings, "--device", "phone-1", *wrong)
        assert result.exit_code == 1
        assert result.output.startswith("Error: ")
    pytest.importorskip("matplotlib")
    result = await report(settings, "--device", "phone-1", *at, "--html", str(page))
    assert result.exit_code == 0, result.output
    assert "<figure" in page.read_text(encoding="utf-8")
