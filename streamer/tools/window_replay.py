"""Asks the predictor again about refused windows, and publishes the events of those that it takes.

A refused window cannot go back among the readings: its samples would be late, and the worker that
reads them would refuse them again. Its letter has all that its event needs but the scores. So this
tool asks the predictor, and writes event and receipt in one transaction: each window gets one
event, however often the tool runs or is interrupted. The event has the partition of the readings.

A window is predicted alone, without what its device did before: its event has neither `posterior`
nor `familiarity`, and recovering workers do not continue from it.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import structlog
from aiokafka import AIOKafkaProducer
from aiokafka.structs import RecordMetadata

from streamer.contracts import dead_letters as contract
from streamer.contracts.dead_letters import WindowLetter, decode_window_letter
from streamer.datasets.progress import ReportProgress, ignore_progress
from streamer.errors import DataError, TopicError
from streamer.kafka.client import client_options, connect
from streamer.kafka.event_formats import EncodeEvent, open_event_encoder
from streamer.kafka.topics import admin_client, partition_counts
from streamer.kafka.transaction import name_refusals, transaction
from streamer.labels.label_policy import LabelPolicy
from streamer.labels.labelling import Labeller
from streamer.predict.answers import Answers, Ask
from streamer.settings import Settings
from streamer.stream.windows import Window
from streamer.tools.dead_letters import PATIENCE_S, RECEIPT, Damage, Letter, LetterId, read_topic

log = structlog.get_logger(__name__)

GROUP: Final = 200
"""Windows in one question and in one transaction."""


@dataclass(slots=True)
class ReplayCounts:
    """Numbers of windows by the result of asking again."""

    published: int = 0
    refused: int = 0
    """Refused again; their letters stay as they are."""
    unavailable: int = 0
    """The endpoint did not answer; their letters stay as they are."""
    unreadable: int = 0
    """Letters of an older version, which lack what an event needs."""

    @property
    def total(self) -> int:
        """Return the number of all windows."""
        return self.published + self.refused + self.unavailable + self.unreadable


async def find_refused(settings: Settings) -> set[LetterId]:
    """Find the letters of refused windows that have no receipt.

    Raises:
        TopicError: the dead-letter topic does not exist.
        KafkaError: no broker answers.
    """
    waiting: set[LetterId] = set()
    async for item in read_topic(settings):
        if isinstance(item, LetterId):
            waiting.discard(item)
        elif isinstance(item, Damage):
            # The batch may have had their receipts, and no window gets two events.
            doubtful = {letter for letter in waiting if letter.partition == item.partition}
            waiting -= doubtful
            log.warning(
                "refused windows before a damaged batch stay as they are, because their receipts "
                "may have been in it",
                windows=len(doubtful),
            )
        elif item is not None and item.reason == contract.REFUSED:
            waiting.add(item.id)
    return waiting


async def predict_refused(
    settings: Settings, ask: Ask, report: ReportProgress = ignore_progress
) -> ReplayCounts:
    """Ask about all refused windows, and publish the events of those that have scores.

    Raises:
        TopicError: a topic does not exist, or lacks the partition of a letter.
        KafkaError: no broker answers, or the same command runs elsewhere.
        EndpointError: the endpoint cannot be called.
        RegistryError: the schema of the events cannot be registered.
    """

    def make() -> AIOKafkaProducer:
        return AIOKafkaProducer(
            **client_options(settings),
            transactional_id=f"{settings.dlq_topic}-replay",
            compression_type="zstd",
        )

    async with admin_client(settings, PATIENCE_S) as admin:
        partitions = (await partition_counts(admin)).get(settings.events_topic, 0)
    encode = await asyncio.to_thread(open_event_encoder, settings)
    outcome = ReplayCounts()
    # The producer fences any other run, so the receipts that are read after it are complete.
    async with connect(make, PATIENCE_S) as producer:
        waiting = await find_refused(settings)
        async for letters in _read_groups(settings, waiting):
            await _predict_group(settings, ask, producer, encode, letters, partitions, outcome)
            report("windows predicted", outcome.total, len(waiting))
    return outcome


async def _read_groups(settings: Settings, waiting: set[LetterId]) -> AsyncIterator[list[Letter]]:
    group: list[Letter] = []
    async for item in read_topic(settings):
        if isinstance(item, Letter) and item.id in waiting:
            group.append(item)
        if len(group) == GROUP:
            yield group
            group = []
    if group:
        yield group


async def _predict_group(
    settings: Settings,
    ask: Ask,
    producer: AIOKafkaProducer,
    encode: EncodeEvent,
    letters: Sequence[Letter],
    partitions: int,
    outcome: ReplayCounts,
) -> None:
    readable: list[tuple[Letter, WindowLetter]] = []
    for letter in letters:
        if letter.origin.partition >= partitions:
            raise TopicError(
                f"the event of letter {letter.id} belongs to {settings.events_topic}"
                f"[{letter.origin.partition}], and that topic has {partitions} partitions; give it "
                "as many as the readings had"
            )
        try:
            readable.append((letter, decode_window_letter(letter.value)))
        except DataError as error:
            outcome.unreadable += 1
            log.warning(
                "the window of a dead letter cannot be read, so it is not predicted",
                letter=str(letter.id),
                error=str(error),
            )
    if not readable:
        return
    answers = await ask(np.array([window.features for _, window in readable], np.float64))
    outcome.refused += len(answers.refused)
    outcome.unavailable += len(answers.unavailable)
    await _publish(settings, producer, encode, readable, answers)
    outcome.published += sum(len(scored.rows) for scored in answers.scored)


async def _publish(
    settings: Settings,
    producer: AIOKafkaProducer,
    encode: EncodeEvent,
    letters: Sequence[tuple[Letter, WindowLetter]],
    answers: Answers,
) -> None:
    """Write the events of windows with scores, and the receipts of their letters."""
    rows = sorted(row for scored in answers.scored for row in scored.rows.tolist())
    if not rows:
        return
    policy = LabelPolicy(smoothing=False, min_confidence=settings.min_confidence, familiarity=False)
    labeller = Labeller(policy)
    windows = [
        Window(w.device_id, w.window_start, w.coverage, settled=w.settled, follows=False)
        for _, w in letters
    ]
    # The labels of windows without scores are not published.
    events = {event.window_id: event for event in labeller.label(windows, answers)}
    sent: list[asyncio.Future[RecordMetadata]] = []
    async with transaction(producer), name_refusals(sent):
        for letter, window in (letters[row] for row in rows):
            event = await producer.send(
                settings.events_topic,
                encode(events[window.window_id]),
                letter.key,
                partition=letter.origin.partition,
            )
            sent.append(event)
            receipt = await producer.send(
                settings.dlq_topic,
                key=letter.key or b"",
                partition=letter.id.partition,
                headers=[(RECEIPT, str(letter.id.offset).encode())],
            )
            sent.append(receipt)
