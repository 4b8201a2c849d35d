"""What a trace says of a fetch, and the interface of the program that records traces.

Nothing here imports OpenTelemetry: a worker without the setting `otlp_endpoint` does not know it.
"""

from dataclasses import dataclass
from typing import Final, Protocol

TRACE_HEADER: Final = "traceparent"
"""Header of a record in which its producer names its own span (W3C Trace Context)."""

MOST_LINKS: Final = 32
"""Spans of producers to which the span of a fetch has links, at most."""


@dataclass(frozen=True, slots=True)
class FetchTrace:
    """The records of a fetch.

    Attributes:
        first, last: their offsets.
        records: their number.
        parents: values of their trace headers, each once: the first `MOST_LINKS`.
    """

    first: int
    last: int
    records: int
    parents: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class FetchTimes:
    """When a fetch was where, seconds since 1970; NaN where it is not known.

    A fetch without output is done before it is committed, with a later one.
    """

    received_s: float
    computed_s: float
    answered_s: float
    committed_s: float
    done_s: float


class FetchTracer(Protocol):
    """Records the spans of fetches."""

    def record(
        self, topic: str, partition: int, trace: FetchTrace, times: FetchTimes, events: int
    ) -> None:
        """Record a fetch whose output is committed, or that has none.

        Args:
            topic: of the readings.
            partition: of the readings.
            trace: of the fetch.
            times: of the fetch.
            events: number of events that it gave.
        """
