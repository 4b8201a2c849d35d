"""The flow of one partition, read forwards.

    records -> decode -> windows -> features -> predictions -> labels -> commit

`PartitionState` computes, and remembers what it must between two fetches. `flow` keeps a few
fetches in progress (one is computed while others are predicted or committed) and hands them on in
their order.
"""

import asyncio
import math
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from concurrent.futures import Executor
from typing import Final

from streamer.contracts.records import Records
from streamer.flow.compute_thread import compute_in
from streamer.flow.interfaces import OutputSink, PartitionLog
from streamer.flow.partition_state import PartitionState
from streamer.flow.record_failure import blaming
from streamer.flow.stage_results import Computed, DeadLetter, Output, Predicted
from streamer.metrics import Metrics
from streamer.predict.answers import Answers, Ask
from streamer.predict.serving import Serving

ON_THE_WAY: Final = 4
"""Fetches that are computed and not committed yet: more would only hide a slow endpoint."""

LARGEST_GROUP: Final = 64
"""Fetches that are committed together at most."""

LARGEST_LETTERS: Final = 16 * 1024 * 1024
"""Bytes of dead letters with which a group ends: compressed records may be small in the log, and
large here."""

CATCHING_UP: Final = 10
"""How many times as long the interval between commits is while there is more to read. Events are
late then anyway, and fewer transactions leave more time for catching up."""


async def flow(
    source: PartitionLog,
    state: PartitionState,
    choose_models: Callable[[], Serving],
    sink: OutputSink,
    metrics: Metrics,
    cpu: Executor,
) -> None:
    """Run one partition until its log gives no more records. All output is committed by then.

    Args:
        source: the records.
        state: of the partition.
        choose_models: returns the models that decide; it is called before each fetch is computed.
        sink: takes the output.
        metrics: counts.
        cpu: where to compute.

    Raises:
        RecordsError: our own code has failed on records.
    """
    predictions: asyncio.Queue[asyncio.Task[Predicted] | None] = asyncio.Queue(ON_THE_WAY)
    outputs: asyncio.Queue[Output | None] = asyncio.Queue(ON_THE_WAY)

    def interval_s() -> float:
        return sink.interval_s * (CATCHING_UP if source.behind else 1)

    async with asyncio.TaskGroup() as tasks:

        async def compute() -> None:
            while (records := await source.fetch()) is not None:
                received_s = time.time()
                models = choose_models()
                with blaming(records):
                    computed = await compute_in(cpu, state.compute, records, source.next)
                computed.delays.received_s, computed.delays.computed_s = received_s, time.time()
                prediction = predict_windows(computed, models.ask_for(computed.windows), metrics)
                await predictions.put(tasks.create_task(_blamed(records, prediction)))
            if source.exhausted:
                models = choose_models()
                last = await compute_in(cpu, state.finish, source.next)
                prediction = predict_windows(last, models.ask_for(last.windows), metrics)
                await predictions.put(tasks.create_task(prediction))
            await predictions.put(None)

        async def label() -> None:
            while (prediction := await predictions.get()) is not None:
                await outputs.put(state.label(await prediction))
            await outputs.put(None)

        async def commit() -> None:
            async for group in group_outputs(outputs, interval_s):
                await sink.commit(group)
            await sink.finish()

        for stage in (compute(), label(), commit()):
            tasks.create_task(stage)


async def _blamed(records: Records, prediction: Coroutine[None, None, Predicted]) -> Predicted:
    with blaming(records):
        return await prediction


async def predict_windows(computed: Computed, ask: Ask, metrics: Metrics) -> Predicted:
    """Ask for the predictions of a fetch's windows."""
    if not computed.windows:
        return Predicted(computed, Answers(0))
    with metrics.stage("predict"):
        answers = await ask(computed.features)
    computed.delays.answered_s = time.time()
    count_answers(answers, metrics)
    return Predicted(computed, answers)


def count_answers(answers: Answers, metrics: Metrics) -> None:
    """Count the answers by where they come from."""
    for scored in answers.scored:
        metrics.answers.labels(scored.origin).inc(len(scored.rows))
        metrics.confidence.observe_all(scored.prediction.scores.max(axis=1, initial=0))
    metrics.answers.labels("refused").inc(len(answers.refused))
    metrics.answers.labels("unavailable").inc(len(answers.unavailable))


async def group_outputs(
    outputs: asyncio.Queue[Output | None], interval_s: Callable[[], float]
) -> AsyncIterator[list[Output]]:
    """Yield outputs to be committed together, until the first None.

    A group ends when the interval since the last commit is over, or when it has `LARGEST_GROUP`
    outputs or `LARGEST_LETTERS` bytes of dead letters. It has at least one output.
    """
    committed_s = -math.inf
    last = await outputs.get()
    while last is not None:
        group, size = [last], count_letter_bytes(last.dead_letters)
        while len(group) < LARGEST_GROUP and size < LARGEST_LETTERS:
            try:
                async with asyncio.timeout(committed_s + interval_s() - time.monotonic()):
                    last = await outputs.get()
            except TimeoutError:
                break
            if last is None:
                break
            group.append(last)
            size += count_letter_bytes(last.dead_letters)
        yield group
        committed_s = time.monotonic()
        if last is not None:
            last = await outputs.get()


def count_letter_bytes(letters: Sequence[DeadLetter]) -> int:
    """Return how many bytes the records of dead letters have."""
    return sum(len(letter.record.value or b"") for letter in letters)
