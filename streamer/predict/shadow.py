"""A shadow: another predictor that is asked about windows after they are decided.

It has a thread and an event loop of its own and only gets what it has room for. Whatever it does,
nothing waits for it::

    event loop   ... answers ── offer ──> commit ...          never waits
    thread                        └─> room for 2,048 windows ──> ask, compare, publish
                                      none: dropped and counted
"""

import asyncio
import math
import threading
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import dataclass
from typing import Final

import numpy as np
import structlog

from streamer.arrays import Floats
from streamer.contracts.disagreements import Disagreement
from streamer.contracts.events import ModelVersion, window_id
from streamer.features.window_shape import WINDOW
from streamer.metrics import Metrics
from streamer.predict.answers import Answers, Ask
from streamer.stream.windows import Window

log = structlog.get_logger(__name__)

MOST_WAITING: Final = 2048
"""Windows that wait for the shadow at most: 9 MB of features."""

MOST_CALLS: Final = 8
"""Questions that the shadow works on at the same time."""

RETRY_S: Final = 10.0
"""Pause before a shadow that cannot be opened is tried again."""

SILENCE_S: Final = 60.0
"""How often failures are logged."""

END_S: Final = 1.0
"""How long the end of a worker waits for the shadow to close."""

Publish = Callable[[Sequence[Disagreement]], Awaitable[None]]
"""Publishes disagreements."""

OpenShadow = Callable[[], AbstractAsyncContextManager[tuple[Ask, Publish]]]
"""Opens the predictor and the publisher in the thread of the shadow."""


@dataclass(frozen=True, slots=True)
class _Question:
    """Windows that are decided."""

    windows: list[Window]
    features: Floats
    decided: Answers


class Shadow:
    """Compares another predictor with the decisions.

    Args:
        opened: opens the predictor.
        share: of the windows about which it is asked.
        patience_s: how long one answer may take.
        metrics: counts what it says, and what it does not say.
    """

    def __init__(
        self, opened: OpenShadow, share: float, patience_s: float, metrics: Metrics
    ) -> None:
        self._open = opened
        self._share = share
        self._patience_s = patience_s
        self._metrics = metrics
        self._part = 0.0
        self._said_s = -math.inf
        self._waiting = 0
        self._room = threading.Lock()
        self._loop = asyncio.new_event_loop()
        self._questions: asyncio.Queue[_Question] = asyncio.Queue()
        self._stopping = asyncio.Event()
        self._thread = threading.Thread(target=self._run, name="shadow", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread if it ends soon; otherwise leave it to the end of the process."""
        self._loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join(END_S)

    def offer(self, windows: Sequence[Window], features: Floats, decided: Answers) -> None:
        """Hand over a share of windows that are decided, if there is room. Never waits.

        Args:
            windows: n windows.
            features: (n, features).
            decided: their answers.
        """
        rows = self._next_rows(len(windows))
        if not len(rows):
            return
        with self._room:
            is_room = self._waiting + len(rows) <= MOST_WAITING
            self._waiting += len(rows) if is_room else 0
        if not is_room:
            self._count("dropped", len(rows))
            return
        question = _Question([windows[row] for row in rows], features[rows], decided.of_rows(rows))
        try:
            self._loop.call_soon_threadsafe(self._questions.put_nowait, question)
        except RuntimeError:  # its event loop has ended
            self._settle(question, "dropped")

    def _next_rows(self, count: int) -> list[int]:
        """Return evenly spaced rows, so many that the share is right over time."""
        ends = np.floor(self._part + self._share * np.arange(count + 1))
        self._part = (self._part + self._share * count) % 1
        return np.flatnonzero(np.diff(ends)).tolist()

    def _count(self, outcome: str, windows: int) -> None:
        self._metrics.shadow_windows.labels(outcome).inc(windows)

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._work())

    async def _work(self) -> None:
        working = asyncio.create_task(self._keep_working())
        await self._stopping.wait()
        working.cancel()
        await asyncio.wait({working})

    async def _keep_working(self) -> None:
        """Open the predictor, again and again while that fails, and answer questions."""
        while True:
            try:
                async with AsyncExitStack() as stack:
                    ask, publish = await stack.enter_async_context(self._open())
                    workers = [self._answer_questions(ask, publish) for _ in range(MOST_CALLS)]
                    await asyncio.gather(*workers)
            except Exception as error:  # noqa: BLE001 - nothing of it may reach the first predictor
                log.warning("the shadow cannot be used", error=repr(error), pause_s=RETRY_S)
                await self._drop_for(RETRY_S)

    async def _drop_for(self, seconds: float) -> None:
        """Count what comes as failed for a while."""
        end_s = time.monotonic() + seconds
        while (left_s := end_s - time.monotonic()) > 0:
            try:
                question = await asyncio.wait_for(self._questions.get(), left_s)
            except TimeoutError:
                return
            self._settle(question, "failed")

    def _settle(self, question: _Question, outcome: str | None) -> None:
        with self._room:
            self._waiting -= len(question.windows)
        if outcome is not None:
            self._count(outcome, len(question.windows))

    async def _answer_questions(self, ask: Ask, publish: Publish) -> None:
        while True:
            question = await self._questions.get()
            outcome: str | None = "failed"
            try:
                began_s = time.monotonic()
                async with asyncio.timeout(self._patience_s):
                    answers = await ask(question.features)
                self._metrics.shadow_seconds.observe(time.monotonic() - began_s)
                outcome = None
                await publish(self._compare(question, answers))
            except Exception as error:  # noqa: BLE001 - nothing of it may reach the first predictor
                self._say(error)
            finally:
                self._settle(question, outcome)

    def _say(self, error: Exception) -> None:
        """Log a failure, at most once a minute."""
        if time.monotonic() - self._said_s > SILENCE_S:
            self._said_s = time.monotonic()
            log.warning("the shadow has failed; the first predictor goes on", error=repr(error))

    def _compare(self, question: _Question, answers: Answers) -> list[Disagreement]:
        """Count agreement; return the windows to which the shadow gives another activity."""
        found = []
        decided, said = _opinions(question.decided), _opinions(answers)
        for row, window in enumerate(question.windows):
            if row not in said or row not in decided:
                self._count("refused" if row in answers.refused else "unanswered", 1)
                continue
            first, second = decided[row], said[row]
            agrees = first.activity == second.activity
            self._count("compared", 1)
            labels = first.activity, "yes" if agrees else "no"
            self._metrics.shadow_agreement.labels(*labels).inc()
            if not agrees:
                found.append(_disagreement(window, first, second))
        return found


@dataclass(frozen=True, slots=True)
class _Opinion:
    """What a model says about a window alone."""

    activity: str
    confidence: float
    model: ModelVersion


def _opinions(answers: Answers) -> dict[int, _Opinion]:
    found = {}
    for scored in answers.scored:
        card, scores = scored.prediction.model, scored.prediction.scores
        model = ModelVersion(card.id, card.version)
        for row, best, most in zip(
            scored.rows.tolist(),
            scores.argmax(axis=1).tolist(),
            scores.max(axis=1).tolist(),
            strict=True,
        ):
            found[row] = _Opinion(card.activities[best], round(most, 6), model)
    return found


def _disagreement(window: Window, first: _Opinion, second: _Opinion) -> Disagreement:
    return Disagreement(
        window_id=window_id(window.device_id, window.start_ms),
        device_id=window.device_id,
        window_start=window.start_ms,
        window_end=window.start_ms + WINDOW.length_us // 1000,
        activity=first.activity,
        confidence=first.confidence,
        model=first.model,
        shadow_activity=second.activity,
        shadow_confidence=second.confidence,
        shadow_model=second.model,
    )
