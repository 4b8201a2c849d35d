"""Reads the published events of replayed recordings from Kafka, and aligns them with the labels."""

from collections import defaultdict
from collections.abc import Mapping, Sequence

import msgspec

from streamer.datasets.recording import Segment
from streamer.errors import UNDECODABLE, DataError
from streamer.kafka.event_formats import make_event_decoder
from streamer.kafka.reader import open_reader, read_to_end
from streamer.publishing.recorded_device import REPLAY_HEADER
from streamer.settings import Settings
from streamer.training.event_alignment import Alignment, PublishedLabel, ReplayedSpan, align_events

_PATIENCE_S = 10


async def align_replayed(
    settings: Settings, segments: Mapping[str, Sequence[Segment]]
) -> Alignment:
    """Align all events that are published now with the labels of the replayed recordings.

    Args:
        settings: names the topics and the brokers.
        segments: the labels, by the device id of their recording.

    Raises:
        KafkaError: no broker answers, or a topic is missing.
        DataError: a topic holds other records.
    """
    return align_events(await _events(settings), await _replays(settings), segments)


async def _events(settings: Settings) -> list[PublishedLabel]:
    async with open_reader(settings, settings.events_topic, "earliest", _PATIENCE_S) as consumer:
        decode = make_event_decoder(settings)
        events = [decode(record.value or b"") async for record in read_to_end(consumer)]
    return [
        PublishedLabel(
            event.window_id,
            event.device_id,
            event.window_start,
            event.activity,
            event.activity_raw,
        )
        for event in events
    ]


async def _replays(settings: Settings) -> dict[str, list[ReplayedSpan]]:
    """Find the first record of every replay; its header says which sample was sent when."""
    replays: dict[str, list[ReplayedSpan]] = defaultdict(list)
    async with open_reader(settings, settings.readings_topic, "earliest", _PATIENCE_S) as consumer:
        async for record in read_to_end(consumer):
            for name, value in record.headers:
                if name == REPLAY_HEADER:
                    replays[(record.key or b"").decode()].append(_replay(value))
    return replays


def _replay(header: bytes | None) -> ReplayedSpan:
    try:
        return msgspec.json.decode(header or b"", type=ReplayedSpan)
    except UNDECODABLE as error:
        raise DataError(f"a record's header {REPLAY_HEADER} is not ours: {error}") from None
