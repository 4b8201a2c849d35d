"""Collects windows of several questions into one call, up to a size or a time."""

import asyncio
import contextvars
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import structlog

from streamer.arrays import Floats
from streamer.predict.answers import Answers, Ask

LOOK_AGAIN_S = 0.02
"""Time after which a batch that was put off checks again whether it may go."""


@dataclass(slots=True)
class _OpenBatch:
    """A batch that is not full yet; ``waiting`` has one future for each of its ``parts``."""

    parts: list[Floats] = field(default_factory=list)
    waiting: list[asyncio.Future[Answers]] = field(default_factory=list)
    windows: int = 0
    timer: asyncio.TimerHandle | None = None


class MicroBatcher:
    """Joins small questions into batches and splits large questions.

    A batch goes when it is full, or when its first window has waited for ``wait_s``. While
    ``is_throttled`` returns True, a batch that is not full waits for more windows, so that fewer
    calls carry as many windows. A batch is cancelled when all who asked are gone.

    Args:
        call: makes the call for a batch, (n, features) with n from 1 to ``most_windows``.
        most_windows: size of a full batch.
        wait_s: longest time that a window waits for others.
        is_throttled: whether the endpoint throttles now.
    """

    def __init__(
        self,
        call: Ask,
        most_windows: int,
        wait_s: float,
        is_throttled: Callable[[], bool] = lambda: False,
    ) -> None:
        self._call = call
        self._most = most_windows
        self._wait_s = wait_s
        self._is_throttled = is_throttled
        self._open = _OpenBatch()

    async def ask(self, features: Floats) -> Answers:
        """Ask about windows (n, features); the answers are in the order of the windows.

        Raises:
            Exception: the error that the call has raised.
        """
        parts = [features[i : i + self._most] for i in range(0, len(features), self._most)]
        answers = [self._add(part) for part in parts]
        try:
            return Answers.concatenate(await asyncio.gather(*answers))
        finally:
            for answer in answers:
                answer.cancel()

    def _add(self, part: Floats) -> asyncio.Future[Answers]:
        if self._open.windows + len(part) > self._most:
            self._send()
        batch, loop = self._open, asyncio.get_running_loop()
        answer: asyncio.Future[Answers] = loop.create_future()
        batch.parts.append(part)
        batch.waiting.append(answer)
        batch.windows += len(part)
        if batch.windows == self._most:
            self._send()
        elif batch.timer is None:
            batch.timer = loop.call_later(self._wait_s, self._send_unless_throttled)
        return answer

    def _send_unless_throttled(self) -> None:
        if self._is_throttled():
            loop = asyncio.get_running_loop()
            self._open.timer = loop.call_later(LOOK_AGAIN_S, self._send_unless_throttled)
        else:
            self._send()

    def _send(self) -> None:
        batch, self._open = self._open, _OpenBatch()
        if batch.timer is not None:
            batch.timer.cancel()
        # Log lines about the call must not name the partition of the window that came first.
        context = contextvars.copy_context()
        context.run(structlog.contextvars.unbind_contextvars, "partition")
        call = context.run(asyncio.ensure_future, self._call(np.concatenate(batch.parts)))
        sizes = [len(part) for part in batch.parts]

        def cancel_if_nobody_waits(_: asyncio.Future[Answers]) -> None:
            if all(waiting.done() for waiting in batch.waiting):
                call.cancel()

        def distribute(call: asyncio.Future[Answers]) -> None:
            begin = 0
            for size, waiting in zip(sizes, batch.waiting, strict=True):
                if not waiting.done():
                    if call.cancelled():
                        waiting.cancel()
                    elif error := call.exception():
                        waiting.set_exception(error)
                    else:
                        waiting.set_result(call.result().slice(begin, begin + size))
                begin += size

        for waiting in batch.waiting:
            waiting.add_done_callback(cancel_if_nobody_waits)
        call.add_done_callback(distribute)
