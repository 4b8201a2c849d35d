"""Injects faults into the answers of the server on demand, to test its clients.

| fault | effect on predictions |
|---|---|
| `latency=200ms:10%` | one in ten is answered 200 ms later |
| `error=503:5%` | one in twenty fails with this status |
| `throttle=200/s` | more than 200 in any second are throttled |
| `refuse:1%` | one in a hundred is refused as invalid input |
| `hang:1%` | one in a hundred is never answered |
| `half-open:1%` | one in a hundred gets the beginning of an answer and never the rest |
| `drip:1%` | one in a hundred is answered byte by byte, four bytes per second |
| `reset:1%` | one in a hundred has its connection cut in the middle of the answer |
| `page:1%` | one in a hundred gets a page of HTML with status 200, as from a proxy |
| `redirect:1%` | one in a hundred is redirected to another address |
| `body-limit=64kB` | requests with more bytes get status 413, as from a proxy |
| `wrong-answer:1%` | one in a hundred gets an answer that does not fit its question |
| `down=30s/5m` | connections are cut for the first 30 s of every 5 minutes; `down` alone: always |

Without a share a fault affects all predictions.
"""

import asyncio
import random
import re
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from aiohttp import web

from streamer.errors import SettingsError
from streamer.predict.predictor import Prediction
from streamer.prediction_server.served_model import BadInputError

EXAMPLES = (
    "latency=200ms:10%, error=503:5%, throttle=200/s, refuse:1%, hang:1%, half-open:1%, drip:1%, "
    "reset:1%, page:1%, redirect:1%, body-limit=64kB, wrong-answer:1%, down=30s/5m"
)

_SPEC = re.compile(
    r"(?P<kind>latency|error|throttle|refuse|hang|half-open|drip|reset|page|redirect|body-limit"
    r"|wrong-answer|down)(?:=(?P<value>[^:]+))?(?::(?P<share>\d+(?:\.\d+)?)%)?"
)
_TIME = re.compile(r"(?P<number>\d+(?:\.\d+)?)(?P<unit>ms|s|m)")
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0}

ALWAYS = float("inf")
DRIP_S = 0.25


class QuotaExceededError(Exception):
    """There are more calls than the quota allows."""


class InjectedError(Exception):
    """The call is to fail with this HTTP status."""

    def __init__(self, status: int) -> None:
        super().__init__(f"injected fault: status {status}")
        self.status = status


class InjectedAnswerError(Exception):
    """The call is to get this answer instead of a prediction."""

    def __init__(self, answer: web.StreamResponse) -> None:
        super().__init__("injected fault: another answer")
        self.answer = answer


@dataclass(frozen=True, slots=True)
class EndpointFault:
    """One fault.

    Attributes:
        kind: the first word of the table above.
        text: the fault as it was written.
        share: share of the predictions that it affects, 0 to 1.
        amount: seconds of `latency`, status of `error`, calls per second of `throttle`, bytes of
            `body-limit`, or seconds of `down`.
        period_s: time after which `down` begins again.
    """

    kind: str
    text: str
    share: float = 1.0
    amount: float = 0.0
    period_s: float = ALWAYS

    @classmethod
    def parse(cls, text: str) -> "EndpointFault":
        """Read a fault as the table above writes it.

        Raises:
            SettingsError: the text is not a fault.
        """
        found = _SPEC.fullmatch(text.strip())
        try:
            if found is None:
                raise ValueError("unknown fault")
            kind, value = found["kind"], found["value"]
            fault = cls(kind, text.strip(), float(found["share"] or 100) / 100)
            if kind in {"throttle", "down"} and found["share"]:
                raise ValueError(f"{kind} has no share")
            match kind:
                case "latency" | "error" | "throttle" | "body-limit":
                    return replace(fault, amount=_parse_amount(kind, value))
                case "down" if value:
                    length, _, period = value.partition("/")
                    period_s = _parse_seconds(period) if period else ALWAYS
                    return replace(fault, amount=_parse_seconds(length), period_s=period_s)
                case "down":
                    return replace(fault, amount=ALWAYS)
                case _ if value:
                    raise ValueError(f"{kind} takes no value")
                case _:
                    return fault
        except ValueError as error:
            raise SettingsError(f"no fault {text!r}: {error}; such as {EXAMPLES}") from None


class EndpointFaults:
    """The active faults; they may be replaced while the server runs."""

    def __init__(
        self, faults: Sequence[EndpointFault] = (), clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._clock = clock
        self._random = random.Random(0)  # noqa: S311 - no secret
        self._within_a_second: deque[float] = deque()
        self.set(faults)

    def set(self, faults: Sequence[EndpointFault]) -> None:
        """Replace all faults; periods begin now."""
        self.faults = list(faults)
        self._since_s = self._clock()

    @property
    def down(self) -> bool:
        """Whether connections are cut now."""
        since_s = self._clock() - self._since_s
        return any(
            (since_s % fault.period_s if fault.period_s < ALWAYS else since_s) < fault.amount
            for fault in self.faults
            if fault.kind == "down"
        )

    async def inject(self, request: web.Request, quota: float | None) -> None:
        """Apply the faults that are due to a prediction.

        Args:
            request: the request for the prediction.
            quota: predictions per second that the real service allows; `throttle` replaces it.

        Raises:
            QuotaExceededError: there are too many calls.
            InjectedError: the call is to fail.
            InjectedAnswerError: the call is to get another answer.
            BadInputError: the call is to be refused.
        """
        limits = [fault.amount for fault in self.faults if fault.kind == "throttle"]
        if limits or quota:
            self._count(min(limits) if limits else quota or ALWAYS)
        for fault in self.faults:
            if fault.kind not in {"throttle", "down", "wrong-answer"} and self._is_due(fault):
                await self._inject(fault, request)

    async def _inject(self, fault: EndpointFault, request: web.Request) -> None:
        match fault.kind:
            case "latency":
                await asyncio.sleep(fault.amount)
            case "error":
                raise InjectedError(int(fault.amount))
            case "refuse":
                raise BadInputError("injected fault: refused")
            case "page" | "redirect":
                raise InjectedAnswerError(_answer_as_proxy(fault.kind))
            case "body-limit" if len(await request.read()) > fault.amount:
                raise InjectedAnswerError(_answer_as_proxy(fault.kind))
            case "hang":
                await asyncio.Event().wait()
            case "half-open" | "drip" | "reset":
                answer = web.StreamResponse(headers={"Content-Length": "1000"})
                await answer.prepare(request)
                await answer.write(b'{"Prediction": ')
                if fault.kind == "reset":
                    assert request.transport is not None
                    request.transport.abort()
                while fault.kind == "drip":
                    await asyncio.sleep(DRIP_S)
                    await answer.write(b" ")
                await asyncio.Event().wait()

    def corrupt(self, prediction: Prediction) -> Prediction:
        """Return a prediction that does not fit its question, if a `wrong-answer` is due."""
        if not any(self._is_due(fault) for fault in self.faults if fault.kind == "wrong-answer"):
            return prediction
        card, scores = prediction.model, prediction.scores
        other_classes = replace(card, labels=card.labels[::-1], activities=("?",) * scores.shape[1])
        wrong = [
            Prediction(scores + 7, card),
            Prediction(np.full_like(scores, np.nan), card),
            Prediction(scores[:-1], card),
            Prediction(scores, other_classes),
        ]
        # A single window is Amazon ML's; its answer has no rows and names no activities.
        return self._random.choice(wrong if len(scores) > 1 else wrong[:2])

    def _is_due(self, fault: EndpointFault) -> bool:
        return self._random.random() < fault.share

    def _count(self, limit: float) -> None:
        recent, now_s = self._within_a_second, self._clock()
        while recent and recent[0] <= now_s - 1:
            recent.popleft()
        if len(recent) >= limit:
            raise QuotaExceededError
        recent.append(now_s)


def _answer_as_proxy(kind: str) -> web.Response:
    """Return the answer of a proxy before the endpoint."""
    if kind == "redirect":
        return web.Response(status=302, headers={"Location": "http://127.0.0.1:9/elsewhere"})
    status, words = (200, "Welcome") if kind == "page" else (413, "413 Request Entity Too Large")
    page = f"<html><body><h1>{words}</h1></body></html>"
    return web.Response(status=status, text=page, content_type="text/html")


def _parse_amount(kind: str, value: str | None) -> float:
    match kind:
        case "latency":
            return _parse_seconds(value)
        case "error":
            return _parse_status(value)
        case "throttle":
            return float((value or "").removesuffix("/s"))
        case _:
            return 1000 * float((value or "").removesuffix("kB"))


def _parse_seconds(text: str | None) -> float:
    found = _TIME.fullmatch(text or "")
    if found is None:
        raise ValueError(f"{text!r} is no time, such as 200ms, 30s or 5m")
    return float(found["number"]) * _UNITS[found["unit"]]


def _parse_status(text: str | None) -> int:
    if text is None or not text.isdecimal() or not 400 <= int(text) <= 599:
        raise ValueError(f"{text!r} is no HTTP status of an error")
    return int(text)
