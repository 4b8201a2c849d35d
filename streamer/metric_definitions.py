"""Defines metrics, and keeps a catalogue of what users see of them."""

from collections.abc import Sequence
from typing import Final, NamedTuple

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

SECONDS: Final = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30)
"""Upper ends of the bins of a duration."""


class Entry(NamedTuple):
    """A metric as users see it."""

    name: str
    type: str
    labels: tuple[str, ...]
    meaning: str


class MetricDefinitions:
    """Makes metrics in a registry; each name gets the prefix of the program.

    Attributes:
        catalogue: the metrics so far.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self.catalogue: list[Entry] = []
        self._registry = registry

    def counter(self, name: str, text: str, *labels: str) -> Counter:
        """Make a counter, whose name ends in `_total`."""
        self.catalogue.append(Entry(f"streamer_{name}_total", "counter", labels, text))
        return Counter(f"streamer_{name}", text, labels, registry=self._registry)

    def gauge(self, name: str, text: str, *labels: str) -> Gauge:
        """Make a gauge."""
        self.catalogue.append(Entry(f"streamer_{name}", "gauge", labels, text))
        return Gauge(f"streamer_{name}", text, labels, registry=self._registry)

    def histogram(
        self, name: str, text: str, *labels: str, buckets: Sequence[float] = SECONDS
    ) -> Histogram:
        """Make a histogram with these upper ends of its bins."""
        self.catalogue.append(Entry(f"streamer_{name}", "histogram", labels, text))
        return Histogram(f"streamer_{name}", text, labels, buckets=buckets, registry=self._registry)
