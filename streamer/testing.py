"""Test your own predictor or features without a broker.

A script of records and marks goes through the code that a worker runs, recovery included::

    from streamer.testing import CRASH, PAUSE, readings, run_script

    published = await run_script([*readings("phone", samples), CRASH], predictor=MyPredictor())
    assert [event.activity for event in published.events] == ["walking", "walking"]

No wall clock is read: Kafka's time is that of the records.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from enum import Enum

import numpy as np

from streamer.arrays import Floats
from streamer.contracts.encode import encode
from streamer.contracts.events import ActivityEvent, decode_event, encode_event
from streamer.contracts.readings import Format, Record
from streamer.contracts.records import OneRecord, Records
from streamer.contracts.segments import (
    SEGMENT_HEADER,
    ActivitySegment,
    CurrentActivity,
    OpenSegment,
    PublishedEvent,
)
from streamer.features import UCI_HAR
from streamer.features.window_shape import WINDOW
from streamer.flow.partition_state import PartitionState
from streamer.flow.pipeline import flow
from streamer.flow.record_failure import RecordsError
from streamer.flow.recovery import recover
from streamer.flow.rejects import RejectLimit
from streamer.flow.stage_results import DeadLetter, Output
from streamer.metrics import Metrics
from streamer.model import artifact
from streamer.predict.answers import make_ask
from streamer.predict.chosen_models import choose_feature_set, load_model_without_gyroscope
from streamer.predict.local_predictor import LocalPredictor
from streamer.predict.predictor import Predictor
from streamer.predict.sensors import ask_by_sensors
from streamer.predict.serving import Serving
from streamer.settings import Settings
from streamer.stream.position import Position

START_MS = 1_763_906_400_000
"""Time of the first reading (ms since 1970) unless another one is given."""

ALL_AT_ONCE = 1_000_000_000


class Mark(Enum):
    """What happens to the worker between two records."""

    PAUSE = "everything so far is published and committed before the worker goes on"
    CRASH = "what was not committed is lost, and a new worker recovers from the log"


PAUSE, CRASH = Mark.PAUSE, Mark.CRASH


@dataclass
class Published:
    """What consumers see, and what the workers have counted.

    Attributes:
        events: in the order of their topic, as a consumer decodes them.
        segments: those that have ended, in the order of their topic.
        current: devices and what they do from then on, in the order of the topic; None if no
            segment of the device is open.
        dead_letters: rejected records and their reasons.
        position: the committed one.
        metrics: of all workers together; ``metrics.registry.get_sample_value(...)`` reads one.
    """

    events: list[ActivityEvent] = field(default_factory=list)
    segments: list[ActivitySegment] = field(default_factory=list)
    current: list[tuple[str, CurrentActivity | None]] = field(default_factory=list)
    dead_letters: list[DeadLetter] = field(default_factory=list)
    position: Position = field(default_factory=lambda: Position(0, 0))
    metrics: Metrics = field(default_factory=Metrics)


def readings(
    device_id: str,
    samples: Floats,
    start_ms: float = START_MS,
    batch: int = 50,
    form: Format = Format.JSON,
) -> list[Record]:
    """Return the records of a device that samples at 50 Hz and publishes each full batch.

    Args:
        device_id: id of the device.
        samples: (n, 6) acceleration x y z in g, rotation x y z in rad/s.
        start_ms: time of the first sample.
        batch: samples in a record.
        form: how a record is written.
    """
    step_ms = WINDOW.step_us / 1000
    records: list[Record] = []
    for i in range(0, len(samples), batch):
        part = np.asarray(samples[i : i + batch], np.float64)
        key, value, headers = encode(device_id, start_ms + i * step_ms, step_ms, part, form)
        kafka_ms = round(start_ms + (i + len(part)) * step_ms)
        records.append(OneRecord(key, value, headers, kafka_ms, offset=0))
    return records


async def run_script(
    script: Iterable[Record | Mark],
    *,
    predictor: Predictor | None = None,
    features: Callable[[Floats], Floats] | None = None,
    settings: Settings | None = None,
    batch: int = ALL_AT_ONCE,
) -> Published:
    """Process the records of one partition to its end, as `streamer run --until-end` does.

    Args:
        script: records, whose offsets are given here, and marks between them.
        predictor: your own; the model in the package when None.
        features: your own: signals (n, 9, 129) to features (n, as many as the predictor takes).
        settings: those of a worker; the defaults when None.
        batch: largest number of records in a fetch.
    """
    worker = _Worker(predictor, features, settings or Settings(), batch)
    with ThreadPoolExecutor(1) as cpu:
        for item in script:
            if isinstance(item, Mark):
                await worker.work(cpu, crash=item is CRASH)
            else:
                worker.log.append(
                    OneRecord(
                        item.key, item.value, item.headers, item.timestamp, len(worker.log.records)
                    )
                )
        worker.log.exhausted = True
        await worker.work(cpu)
    return worker.published


class _CrashError(Exception):
    """The worker crashes."""


class _Log:
    """A partition in memory: what `flow` and `recover` read."""

    behind = False

    def __init__(self, batch: int) -> None:
        self.records: list[OneRecord] = []
        self.next = 0
        self.exhausted = False
        self.stopped = False
        self._batch = batch

    def append(self, record: OneRecord) -> None:
        self.records.append(record)

    def seek(self, offset: int) -> None:
        self.next = offset

    async def fetch_some(self) -> Records:
        fetched = self.records[self.next : self.next + self._batch]
        self.next += len(fetched)
        return Records.of(fetched)

    async def fetch(self) -> Records | None:
        records = await self.fetch_some()
        return records if len(records) else None


class _Sink:
    """Publishes all or nothing."""

    interval_s = 0.0

    def __init__(
        self, published: Published, readable: list[PublishedEvent], *, crash: bool
    ) -> None:
        self._published = published
        self._readable = readable
        self._crash = crash

    async def commit(self, outputs: Sequence[Output]) -> None:
        if self._crash:
            raise _CrashError
        for output in outputs:
            events = [decode_event(encode_event(e)) for e in output.events]
            self._published.events += events
            self._published.segments += output.segments.closed
            self._published.current += output.segments.current
            self._readable += [
                PublishedEvent(event, OpenSegment.from_headers([(SEGMENT_HEADER, header)]))
                for event, header in zip(events, output.segments.headers, strict=True)
            ]
            self._published.dead_letters += output.dead_letters
            self._published.position = output.position

    async def finish(self) -> None:
        pass


class _Worker:
    """Workers, one after the other, on the same partition."""

    def __init__(
        self,
        predictor: Predictor | None,
        features: Callable[[Floats], Floats] | None,
        settings: Settings,
        batch: int,
    ) -> None:
        if predictor is None:
            model = artifact.load(settings.model or artifact.DEFAULT_MODEL)
            without_gyroscope = load_model_without_gyroscope(settings, model)
            ask = ask_by_sensors(make_ask(LocalPredictor(model)), without_gyroscope)
            self._feature_set = choose_feature_set(settings)
        else:
            ask = make_ask(predictor)
            self._feature_set = getattr(predictor, "feature_set", UCI_HAR)
        self._models = Serving("", ask)
        self._features = features
        self._settings = settings
        self._limit = RejectLimit(1, 1, lambda: 0.0)
        self.log = _Log(batch)
        self.published = Published()
        self._readable: list[PublishedEvent] = []
        self._stages = self._fresh()

    def _fresh(self) -> PartitionState:
        published = self.published
        return PartitionState(
            self._settings,
            published.metrics,
            published.position,
            self._limit,
            self._feature_set,
            self._features,
        )

    async def work(self, cpu: Executor, *, crash: bool = False) -> None:
        """Process the records so far; after a crash, start again at the committed position."""
        sink = _Sink(self.published, self._readable, crash=crash)
        metrics = self.published.metrics
        try:
            await flow(self.log, self._stages, lambda: self._models, sink, metrics, cpu)
        except* _CrashError:
            pass
        except* RecordsError as failed:
            causes = [error.__cause__ for error in failed.exceptions]
            raise ExceptionGroup(
                "your own code has failed", [each for each in causes if isinstance(each, Exception)]
            ) from None
        if crash:
            # The position goes through its text, as it does through Kafka.
            last = self.published.position
            position = Position.parse(last.low, last.metadata())
            self.published.position = replace(position)
            self._stages.hand_over()
            self._stages = self._fresh()
            await recover(
                self.log, self._stages, position, cpu, lambda _read, _left: None, self._read_events
            )
            self._stages.take_over()
            self.log.seek(position.next)

    async def _read_events(self, _start_ms: Mapping[str, int], _most: int) -> list[PublishedEvent]:
        return self._readable
