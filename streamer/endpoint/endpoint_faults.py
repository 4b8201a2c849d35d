"""Faults on demand: what endpoints do on bad days.

| fault | what happens to predictions |
|---|---|
| `latency=200ms:10%` | one in ten is answered so much later |
| `error=503:5%` | one in twenty fails with this status |
| `throttle=200/s` | more than so many in any second are refused |
| `hang:1%` | one in a hundred is never answered |
| `half-open:1%` | one in a hundred gets the beginning of an answer and never the rest |
| `wrong-answer:1%` | one in a hundred gets an answer to another question |
| `down=30s/5m` | for the first 30 s of every 5 minutes connections are cut; `down` alone for good |

Without a share it is all of them.
"""

import asyncio
import random
import re
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from aiohttp import web

from streamer.errors import SettingsError
from streamer.predict.predictor import Prediction

_SPEC = re.compile(
    r"(?P<kind>latency|error|throttle|hang|half-open|wrong-answer|down)"
    r"(?:=(?P<value>[^:]+))?(?::(?P<share>\d+(?:\.\d+)?)%)?"
)
_TIME = re.compile(r"(?P<number>\d+(?:\.\d+)?)(?P<unit>ms|s|m)")
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0}

FOR_EVER = float("inf")


class QuotaExceededError(Exception):
    """More was asked than is allowed."""


class InjectedError(Exception):
    """The server fails, with this HTTP status."""

    def __init__(self, status: int) -> None:
        super().__init__(f"injected fault: status {status}")
        self.status = status


@dataclass(frozen=True, slots=True)
class EndpointFault:
    """One of them, as it was asked for.

    Attributes:
        kind: which.
        text: as it was written.
        share: of the predictions that it strikes, 0 to 1.
        amount: seconds, status, calls a second or seconds down.
        period_s: how often it is down.
    """

    kind: str
    text: str
    share: float = 1.0
    amount: float = 0.0
    period_s: float = FOR_EVER

    @classmethod
    def parse(cls, text: str) -> "EndpointFault":
        """Read what the table above shows.

        Raises:
            SettingsError: it is none of that.
        """
        found = _SPEC.fullmatch(text.strip())
        try:
            if found is None:
                raise ValueError("it is none of the known faults")
            kind, value = found["kind"], found["value"]
            fault = cls(kind, text.strip(), float(found["share"] or 100) / 100)
            if kind in {"throttle", "down"} and found["share"]:
                raise ValueError(f"{kind} has no share")
            match kind:
                case "latency":
                    return replace(fault, amount=_seconds(value))
                case "error":
                    return replace(fault, amount=_status(value))
                case "throttle":
                    return replace(fault, amount=float((value or "").removesuffix("/s")))
                case "down" if value:
                    length, _, period = value.partition("/")
                    period_s = _seconds(period) if period else FOR_EVER
                    return replace(fault, amount=_seconds(length), period_s=period_s)
                case "down":
                    return replace(fault, amount=FOR_EVER)
                case _ if value:
                    raise ValueError(f"{kind} takes no value")
                case _:
                    return fault
        except ValueError as error:
            raise SettingsError(
                f"no fault {text!r}: {error}; such as latency=200ms:10%, error=503:5%, "
                "throttle=200/s, hang:1%, half-open:1%, wrong-answer:1%, down=30s/5m"
            ) from None


class EndpointFaults:
    """Those in force; they may be changed while the server runs."""

    def __init__(
        self, faults: Sequence[EndpointFault] = (), clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._clock = clock
        self._chance = random.Random(0)  # noqa: S311 - no secret
        self._within_a_second: deque[float] = deque()
        self.set(faults)

    def set(self, faults: Sequence[EndpointFault]) -> None:
        """Replace all of them; what is periodic begins now."""
        self.faults = list(faults)
        self._since_s = self._clock()

    @property
    def down(self) -> bool:
        """Whether connections are cut just now."""
        since_s = self._clock() - self._since_s
        return any(
            (since_s % fault.period_s if fault.period_s < FOR_EVER else since_s) < fault.amount
            for fault in self.faults
            if fault.kind == "down"
        )

    async def inject(self, request: web.Request, quota: float | None) -> None:
        """Do to a prediction what is due.

        Args:
            request: the one.
            quota: predictions a second that the real service allows, unless there is a `throttle`.

        Raises:
            QuotaExceededError: it is one too many.
            InjectedError: it is to fail.
        """
        limits = [fault.amount for fault in self.faults if fault.kind == "throttle"]
        if limits or quota:
            self._count(min(limits) if limits else quota or FOR_EVER)
        for fault in self._due():
            match fault.kind:
                case "latency":
                    await asyncio.sleep(fault.amount)
                case "error":
                    raise InjectedError(int(fault.amount))
                case "hang":
                    await asyncio.Event().wait()
                case "half-open":
                    answer = web.StreamResponse(headers={"Content-Length": "1000"})
                    await answer.prepare(request)
                    await answer.write(b'{"Prediction": ')
                    await asyncio.Event().wait()

    def corrupt(self, prediction: Prediction) -> Prediction:
        """Answer another question, if a `wrong-answer` is due."""
        if not any(self._hits(fault) for fault in self.faults if fault.kind == "wrong-answer"):
            return prediction
        card, scores = prediction.model, prediction.scores
        wrong = [
            Prediction(scores[:-1], card),
            Prediction(scores + 7, card),
            Prediction(
                scores, replace(card, labels=card.labels[::-1], activities=("?",) * scores.shape[1])
            ),
        ]
        return self._chance.choice(wrong if len(scores) > 1 else wrong[1:2])

    def _due(self) -> list[EndpointFault]:
        kinds = {"latency", "error", "hang", "half-open"}
        return [fault for fault in self.faults if fault.kind in kinds and self._hits(fault)]

    def _hits(self, fault: EndpointFault) -> bool:
        return self._chance.random() < fault.share

    def _count(self, limit: float) -> None:
        recent, now_s = self._within_a_second, self._clock()
        while recent and recent[0] <= now_s - 1:
            recent.popleft()
        if len(recent) >= limit:
            raise QuotaExceededError
        recent.append(now_s)


def _seconds(text: str | None) -> float:
    found = _TIME.fullmatch(text or "")
    if found is None:
        raise ValueError(f"{text!r} is no time, such as 200ms, 30s or 5m")
    return float(found["number"]) * _UNITS[found["unit"]]


def _status(text: str | None) -> int:
    if text is None or not text.isdecimal() or not 400 <= int(text) <= 599:
        raise ValueError(f"{text!r} is no HTTP status of an error")
    return int(text)
