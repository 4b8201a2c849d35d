"""What must come out of a log, computed in one go without Kafka, and how it compares."""

import asyncio
from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self, TypeVar

import numpy as np
from msgspec.structs import replace

from streamer.arrays import Floats, Ints
from streamer.contracts.dead_letters import ORIGIN_OFFSET, ORIGIN_PARTITION, REASON
from streamer.contracts.events import ModelVersion, decode_event, encode_event, window_id
from streamer.contracts.records import Records
from streamer.contracts.segments import SEGMENT_HEADER, encode_current, encode_segment
from streamer.flow.partition_state import PartitionState
from streamer.flow.pipeline import predict_windows
from streamer.flow.rejects import RejectLimit
from streamer.flow.stage_results import Output
from streamer.kafka.reader import open_reader, read_to_end
from streamer.kafka.topic_records import TopicRecord
from streamer.metrics import Metrics
from streamer.model import artifact
from streamer.predict.answers import Answers, Ask, make_ask
from streamer.predict.chosen_models import choose_feature_set, load_model_without_gyroscope
from streamer.predict.local_predictor import LocalPredictor
from streamer.predict.sensors import ask_by_sensors
from streamer.settings import Settings
from streamer.storage.window_files import StoredWindows
from streamer.stream.position import Position
from tests.support.log import Log

Key = TypeVar("Key", bound=Hashable)


@dataclass
class Published:
    """Events of each device in their order, and dead letters by where they come from."""

    events: dict[str, list[bytes]] = field(default_factory=dict)
    segments: dict[tuple[str, str], list[bytes | None]] = field(default_factory=dict)
    """By device, in their order: values of ended segments (`closed`) and of current activities
    (`current`), and headers of events (`open`)."""
    letters: Counter[tuple[int, int, bytes, bytes | None]] = field(default_factory=Counter)
    """Partition, offset, reason and value of the record that was refused."""
    windows: list[StoredWindows] = field(default_factory=list)
    """What is stored, if the settings say so."""

    def add(self, partition: int, outputs: Sequence[Output]) -> Self:
        """What a sink was given."""
        for output in outputs:
            if output.closed is not None:
                self.windows.append(output.closed)
            for event in output.events:
                self.events.setdefault(event.device_id, []).append(encode_event(event))
            changes = output.segments
            for event, header in zip(output.events, changes.headers, strict=True):
                self.add_segment("open", event.device_id, header)
            for segment in changes.closed:
                self.add_segment("closed", segment.device_id, encode_segment(segment))
            for device_id, current in changes.current:
                self.add_segment("current", device_id, encode_current(current))
            for letter in output.dead_letters:
                place = (partition, letter.record.offset)
                self.letters[(*place, letter.reason.encode(), letter.record.value)] += 1
        return self

    def add_event(self, record: TopicRecord) -> None:
        """An event as it stands in the topic."""
        device_id = (record.key or b"").decode()
        self.events.setdefault(device_id, []).append(record.value or b"")
        self.add_segment("open", device_id, dict(record.headers)[SEGMENT_HEADER])

    def add_segment(self, kind: str, device_id: str, value: bytes | None) -> None:
        """A value of one of the kinds that `segments` has."""
        self.segments.setdefault((kind, device_id), []).append(value)

    def add_letter(self, record: TopicRecord) -> None:
        """A dead letter as it stands in the topic."""
        headers = dict(record.headers)
        place = [int(headers[name] or b"") for name in (ORIGIN_PARTITION, ORIGIN_OFFSET)]
        self.letters[(place[0], place[1], headers[REASON] or b"", record.value)] += 1


def make_partition_state(settings: Settings, position: Position | None = None) -> PartitionState:
    """A partition's memory, from its beginning."""
    limit = RejectLimit(1, 1, lambda: 0.0)
    feature_set = choose_feature_set(settings)
    return PartitionState(settings, Metrics(), position or Position(0, 0), limit, feature_set)


def make_local_ask(settings: Settings) -> Ask:
    """Ask the models in the process that the settings name."""
    model = artifact.load(settings.model or artifact.DEFAULT_MODEL)
    without_gyroscope = load_model_without_gyroscope(settings, model)
    return ask_by_sensors(make_ask(LocalPredictor(model)), without_gyroscope)


async def golden(log: Log, settings: Settings, ask: Ask | None = None) -> Published:
    """Compute everything in one batch a partition, with the models that the settings name."""
    ask, metrics = ask or make_local_ask(settings), Metrics()
    published = Published()
    for partition, records in enumerate(log):
        if not records:
            continue
        state = make_partition_state(settings)
        end = len(records)
        columns = Records.of(records, appended=False)  # as `feeding` publishes them
        for computed in (state.compute(columns, end), state.finish(end)):
            published.add(partition, [state.label(await predict_windows(computed, ask, metrics))])
    return published


async def golden_as_decided(
    log: Log, settings: Settings, found: Published, models: Sequence[artifact.Model]
) -> Published:
    """Compute everything, each window by the model that its published event names.

    So the bytes must be those of these models, however often the models have changed.
    """
    asks = {
        ModelVersion(model.card.id, model.version): make_ask(LocalPredictor(model))
        for model in models
    }
    decided = {
        event.window_id: event.model
        for events in found.events.values()
        for event in map(decode_event, events)
    }
    first = next(iter(asks.values()))
    published, metrics = Published(), Metrics()
    without = artifact.load(artifact.ACC_MODEL)
    for partition, records in enumerate(log):
        if not records:
            continue
        state, end = make_partition_state(settings), len(records)
        columns = Records.of(records, appended=False)
        for computed in (state.compute(columns, end), state.finish(end)):
            names = [decided.get(window_id(w.device_id, w.start_ms)) for w in computed.windows]
            # Windows without a gyroscope name the other model; `ask_by_sensors` finds them.
            rows = {
                name: np.array([i for i, each in enumerate(names) if each == name])
                for name in dict.fromkeys(names)
            }

            async def ask(features: Floats, rows: dict[Any, Ints] = rows) -> Answers:
                parts = [
                    (those, await ask_by_sensors(asks.get(name, first), without)(features[those]))
                    for name, those in rows.items()
                ]
                return Answers.join(len(features), parts)

            published.add(partition, [state.label(await predict_windows(computed, ask, metrics))])
    return published


async def read_published(settings: Settings) -> Published:
    """What a consumer of committed records sees."""
    found = Published()
    async with asyncio.timeout(60):
        async with open_reader(settings, settings.events_topic, "earliest", 10) as consumer:
            async for record in read_to_end(consumer):
                found.add_event(record)
        topics = {"closed": settings.segments_topic, "current": settings.current_topic}
        for kind, topic in topics.items():
            async with open_reader(settings, topic, "earliest", 10) as consumer:
                async for record in read_to_end(consumer):
                    found.add_segment(kind, (record.key or b"").decode(), record.value)
        async with open_reader(settings, settings.dlq_topic, "earliest", 10) as consumer:
            async for record in read_to_end(consumer):
                found.add_letter(record)
    return found


@dataclass(frozen=True, slots=True)
class Verdict:
    """How what was found differs from what was expected."""

    lost: int
    duplicated: int
    different: int
    disordered: list[str]
    examples: list[object]
    """Some of what is missing."""

    def __str__(self) -> str:
        return f"{self.lost} lost, {self.duplicated} duplicated, {self.different} different"

    @property
    def good(self) -> bool:
        """Whether there is no difference at all."""
        return not (self.lost or self.duplicated or self.different or self.disordered)


def compare(expected: Published, found: Published) -> Verdict:
    """Compare sets, bytes, and the order of each device's events and segments."""
    wanted = _counted(expected)
    seen = _counted(found)
    missing, surplus = wanted - seen, seen - wanted
    duplicated = sum(n for item, n in surplus.items() if item in wanted)
    different = surplus.total() - duplicated
    disordered = find_disordered(expected.events, found.events)
    disordered += find_disordered(expected.segments, found.segments)
    # What is there with other bytes is different, not lost.
    lost = max(0, missing.total() - different)
    return Verdict(lost, duplicated, different, disordered, list(missing)[:10])


def find_disordered(
    expected: Mapping[Key, Sequence[bytes | None]], found: Mapping[Key, Sequence[bytes | None]]
) -> list[str]:
    """Keys whose values, each counted once, have another order."""
    return [
        str(key)
        for key, values in expected.items()
        if list(dict.fromkeys(found.get(key, []))) != list(dict.fromkeys(values))
    ]


def _counted(published: Published) -> Counter[object]:
    counted: Counter[object] = Counter(published.letters)
    for device, events in published.events.items():
        counted.update((device, event) for event in events)
    for kind, values in published.segments.items():
        counted.update((kind, value) for value in values)
    return counted


def as_local(published: Published) -> Published:
    """Return the events of an endpoint as a predictor in the process would have made them."""
    events = {
        device: [encode_event(replace(decode_event(each), predictor="local")) for each in events]
        for device, events in published.events.items()
    }
    return Published(events, published.segments, published.letters)


def windows_of(published: Published) -> dict[str, list[str]]:
    """The identities of each device's windows, in the order of the events."""
    return {
        device: [decode_event(event).window_id for event in events]
        for device, events in published.events.items()
    }
