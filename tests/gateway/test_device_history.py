"""The last hour of a device is complete, also in a gateway that was started a moment ago."""

import asyncio

import pytest
from aiokafka import AIOKafkaProducer

from streamer.contracts.segments import HOP_MS, ActivitySegment, encode_segment
from streamer.gateway import device_history
from streamer.gateway.device_history import join_history
from streamer.gateway.fleet_view import HISTORY_MS, Stretch
from streamer.kafka import topics
from streamer.settings import GatewaySettings
from tests.gateway.conftest import MakeGatewaySettings
from tests.support.gateway import RunningGateway, running_gateway

HOUR_HOPS = HISTORY_MS // HOP_MS


def segment(start: int, end: int, activity: str = "sitting", device: str = "a") -> ActivitySegment:
    """Return a segment from one hop to another."""
    return ActivitySegment(
        segment_id=f"{device}/{start * HOP_MS}",
        device_id=device,
        segment_start=start * HOP_MS,
        segment_end=end * HOP_MS,
        activity=activity,
        reason=None,
        confidence=0.75,
        windows=end - start,
    )


def seen(start: int, end: int, activity: str = "walking") -> Stretch:
    """Return a stretch whose windows start from one hop up to another."""
    return Stretch(activity, start * HOP_MS, (end + 1) * HOP_MS, end - start, end - start)


def hops(stretches: list[Stretch]) -> list[tuple[str, float, float]]:
    return [(each.activity, each.start_ms / HOP_MS, each.end_ms / HOP_MS) for each in stretches]


# segments  |0 sitting 4|4 walking 7|
# seen                      |6 walking 7(8)|7 sitting 9(10)
def test_what_was_seen_goes_on_where_the_segments_end() -> None:
    stretches = join_history(
        [segment(0, 4), segment(4, 7, "walking")], [seen(6, 7), seen(7, 9, "sitting")]
    )
    assert hops(stretches) == [("sitting", 0, 4), ("walking", 4, 7), ("sitting", 7, 10)]
    assert stretches[0].as_json()["confidence"] == 0.75


# segments  |0 sitting 4|
# seen      |2 sitting ....... 9(10)   one stretch, because a window between two segments is missing
def test_a_stretch_that_was_seen_across_the_end_of_the_segments_begins_there() -> None:
    stretches = join_history([segment(0, 4)], [seen(2, 9, "sitting")])
    assert hops(stretches) == [("sitting", 0, 4), ("sitting", 4, 10)]


def test_only_the_hour_before_the_latest_window_is_returned() -> None:
    segments = [segment(0, 4), segment(4, 8), segment(8, HOUR_HOPS + 5)]
    assert hops(join_history(segments, [])) == [
        ("sitting", 4, 8),
        ("sitting", 8, HOUR_HOPS + 5),
    ]
    assert join_history([], []) == []


async def publish_segments(settings: GatewaySettings, segments: list[ActivitySegment]) -> None:
    await topics.ensure(settings)
    async with AIOKafkaProducer(bootstrap_servers=settings.bootstrap_servers) as producer:
        for each in segments:
            await producer.send_and_wait(
                settings.segments_topic,
                encode_segment(each),
                key=each.device_id.encode(),
                partition=0,
            )
        await producer.send_and_wait(settings.segments_topic, b"no segment", b"a", partition=0)


async def history(gateway: RunningGateway, device: str) -> list[tuple[str, float]]:
    async with asyncio.timeout(60):
        while True:
            async with gateway.session.get(f"/history/{device}") as answer:
                if answer.status == 503:  # Kafka has not answered yet.
                    await asyncio.sleep(0.1)
                    continue
                found = (await answer.json())["stretches"]
                return [(each["activity"], each["start"] / HOP_MS) for each in found]


async def test_a_gateway_that_was_just_started_knows_the_last_hour_and_reads_a_bounded_part(
    make_gateway_settings: MakeGatewaySettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A loaded machine takes its time.
    monkeypatch.setattr(device_history, "_PATIENCE_S", 60.0)
    settings = make_gateway_settings(partitions=1)
    mixed = [segment(0, 4), segment(0, 9, device="b"), segment(4, 6, "walking")]
    await publish_segments(settings, mixed)
    async with running_gateway(settings, live=True) as gateway:
        assert await history(gateway, "a") == [("sitting", 0), ("walking", 4)]
        assert await history(gateway, "b") == [("sitting", 0)]
        assert await history(gateway, "c") == []
        # The newest two records are the last segment of the device and the record that is none.
        monkeypatch.setattr(device_history, "MOST_SEGMENTS", 2)
        assert await history(gateway, "a") == [("walking", 4)]
