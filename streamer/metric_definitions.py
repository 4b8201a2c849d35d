"""Defines metrics, and keeps a catalogue of what users see of them."""

import time
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

import numpy as np
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from streamer.arrays import Floats
from streamer.tls import EXPIRES_S

SECONDS: Final = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30)
"""Upper ends of the bins of a duration."""

AGES: Final = (0.05, 0.1, 0.2, 0.5, 1, 2, 3, 5, 10, 30, 60, 300, 1800, 7200, 86400)
"""Upper ends of the bins of an age, in seconds: a device may send what it took yesterday."""


class Entry(NamedTuple):
    """A metric as users see it."""

    name: str
    type: str
    labels: tuple[str, ...]
    meaning: str


class ArrayHistogram(Histogram):
    """A histogram that observes many values at once: one call a fetch, not one a value."""

    def observe_all(self, values: Floats) -> None:
        """Observe each value of an array."""
        if not len(values):
            return
        bins = np.searchsorted(self._upper_bounds, values)
        for index, number in enumerate(np.bincount(bins).tolist()):
            if number:
                self._buckets[index].inc(number)
        self._sum.inc(float(values.sum()))


class _Certificates(Collector):
    """Time until each certificate of the process expires, computed at each scrape."""

    def __init__(self, entry: Entry) -> None:
        self._entry = entry

    def collect(self) -> Iterator[GaugeMetricFamily]:
        family = GaugeMetricFamily(self._entry.name, self._entry.meaning, labels=self._entry.labels)
        for path, expires_s in EXPIRES_S.items():
            family.add_metric([str(path)], expires_s - time.time())
        yield family


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
    ) -> ArrayHistogram:
        """Make a histogram with these upper ends of its bins."""
        self.catalogue.append(Entry(f"streamer_{name}", "histogram", labels, text))
        return ArrayHistogram(
            f"streamer_{name}", text, labels, buckets=buckets, registry=self._registry
        )

    def certificates(self) -> None:
        """Make the gauge of the certificates that this process uses."""
        entry = Entry(
            "streamer_certificate_expiry_seconds",
            "gauge",
            ("file",),
            "Time until the certificate of this file expires: the one in use, also if a newer file"
            " cannot be used. When it falls below a week, renew the file; no restart is needed.",
        )
        self.catalogue.append(entry)
        self._registry.register(_Certificates(entry))
