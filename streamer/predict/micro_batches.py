"""Windows of many questions in one call, by size and deadline."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from streamer.arrays import Floats
from streamer.predict.answers import Answers, Ask

LOOK_AGAIN_S = 0.02
"""How soon a batch that is due asks again whether calls are still to be spared."""


@dataclass(slots=True)
class _Pending:
    """A batch that is not full yet, and who waits for which part of it."""

    parts: list[Floats] = field(default_factory=list)
    waiting: list[asyncio.Future[Answers]] = field(default_factory=list)
    windows: int = 0
    timer: asyncio.TimerHandle | None = None


class MicroBatcher:
    """Puts small questions together, and takes large ones apart.

    A batch goes when it is full or when its first window has waited long enough, unless calls are
    to be spared: fewer and larger ones then get as many windows through. It is called off when
    nobody waits for it any more.
    """

    def __init__(
        self,
        call: Ask,
        most_windows: int,
        wait_s: float,
        sparing: Callable[[], bool] = lambda: False,
    ) -> None:
        self._call = call
        self._most = most_windows
        self._wait_s = wait_s
        self._sparing = sparing
        self._pending = _Pending()

    async def ask(self, features: Floats) -> Answers:
        """Ask about windows (n, features); what comes back is in their order.

        Raises:
            Exception: what the call raised.
        """
        parts = [features[i : i + self._most] for i in range(0, len(features), self._most)]
        answers = [self._add(part) for part in parts]
        try:
            return Answers.joined(await asyncio.gather(*answers))
        finally:
            for answer in answers:
                answer.cancel()

    def _add(self, part: Floats) -> asyncio.Future[Answers]:
        if self._pending.windows + len(part) > self._most:
            self._go()
        pending, loop = self._pending, asyncio.get_running_loop()
        answer: asyncio.Future[Answers] = loop.create_future()
        pending.parts.append(part)
        pending.waiting.append(answer)
        pending.windows += len(part)
        if pending.windows == self._most:
            self._go()
        elif pending.timer is None:
            pending.timer = loop.call_later(self._wait_s, self._due)
        return answer

    def _due(self) -> None:
        if self._sparing():
            loop = asyncio.get_running_loop()
            self._pending.timer = loop.call_later(LOOK_AGAIN_S, self._due)
        else:
            self._go()

    def _go(self) -> None:
        batch, self._pending = self._pending, _Pending()
        if batch.timer is not None:
            batch.timer.cancel()
        call = asyncio.ensure_future(self._call(np.concatenate(batch.parts)))
        sizes = [len(part) for part in batch.parts]

        def called_off(_: asyncio.Future[Answers]) -> None:
            if all(waiting.done() for waiting in batch.waiting):
                call.cancel()

        def answered(call: asyncio.Future[Answers]) -> None:
            begin = 0
            for size, waiting in zip(sizes, batch.waiting, strict=True):
                if not waiting.done():
                    if call.cancelled():
                        waiting.cancel()
                    elif error := call.exception():
                        waiting.set_exception(error)
                    else:
                        waiting.set_result(call.result().part(begin, begin + size))
                begin += size

        for waiting in batch.waiting:
            waiting.add_done_callback(called_off)
        call.add_done_callback(answered)
