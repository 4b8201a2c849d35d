"""The catalogue of metrics: every name, label and meaning in one place.

`docs/metrics.md` is made from it (``python -m streamer.metrics``).
"""

import threading
from collections import Counter as Counts
from collections.abc import Sequence
from typing import NamedTuple

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info
from prometheus_client.context_managers import Timer

from streamer import __version__
from streamer.contracts.events import ActivityEvent
from streamer.contracts.readings import Decoded
from streamer.stream.accounting import Tally

_SECONDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30)
_SIZES = (1, 4, 16, 64, 256, 1024, 4096, 16384)


class Entry(NamedTuple):
    """A metric as users see it."""

    name: str
    type: str
    labels: tuple[str, ...]
    meaning: str


class Metrics:
    """All metrics of a worker, in a registry of their own.

    They balance at any time::

        samples_received = sum(samples) + samples_waiting
        windows_opened   = sum(windows) + windows_open
    """

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.lock = threading.RLock()
        """Held while counting what belongs together, and while showing it."""
        self.catalogue: list[Entry] = []

        def counter(name: str, text: str, *labels: str) -> Counter:
            self.catalogue.append(Entry(f"streamer_{name}_total", "counter", labels, text))
            return Counter(f"streamer_{name}", text, labels, registry=self.registry)

        def gauge(name: str, text: str, *labels: str) -> Gauge:
            self.catalogue.append(Entry(f"streamer_{name}", "gauge", labels, text))
            return Gauge(f"streamer_{name}", text, labels, registry=self.registry)

        def histogram(
            name: str, text: str, *labels: str, buckets: Sequence[float] = _SECONDS
        ) -> Histogram:
            self.catalogue.append(Entry(f"streamer_{name}", "histogram", labels, text))
            return Histogram(
                f"streamer_{name}", text, labels, buckets=buckets, registry=self.registry
            )

        self.build = Info("streamer_build", "Version that runs.", registry=self.registry)
        self.build.info({"version": __version__})

        self.records = counter("records", "Records read, but for those read again in a recovery.")
        self.rejects = counter("rejects", "Records refused, by reason.", "reason")
        self.samples_received = counter("samples_received", "Samples in the records read.")
        self.samples = counter(
            "samples",
            "What became of samples: used, late, duplicate, rejected, or moved while they waited.",
            "outcome",
        )
        self.samples_waiting = gauge(
            "samples_waiting", "Samples that wait for the watermark of their device."
        )
        self.dead_letters = counter("dead_letters", "Records sent to the dead-letter topic.")

        self.windows_opened = counter(
            "windows_opened", "Windows opened here, or taken over open in a recovery."
        )
        self.windows = counter(
            "windows",
            "What became of windows: predicted, moved to another worker, or skipped because of gap,"
            " idle, coverage or sampling_rate.",
            "outcome",
        )
        self.windows_open = gauge("windows_open", "Windows that wait for samples.")
        self.windows_unsettled = counter(
            "windows_unsettled", "Windows predicted while the filters were still warming up."
        )
        self.predictions = counter(
            "predictions", "Windows labelled and committed, by who did it.", "predictor", "model"
        )
        self.events = counter("events", "Activity events committed.", "activity")
        self.event_latency = histogram(
            "event_latency_seconds",
            "From the Kafka timestamp of the oldest record of a fetch to the commit of its events.",
        )

        self.stage_seconds = histogram(
            "stage_seconds",
            "Time in a stage for one fetch: decode, windows, features, predict, commit.",
            "stage",
        )
        self.fetch_records = histogram("fetch_records", "Records of a fetch.", buckets=_SIZES)
        self.fetch_windows = histogram("fetch_windows", "Windows of a fetch.", buckets=_SIZES)

        self.answers = counter(
            "answers",
            "What became of windows that were asked about: answered by endpoint or fallback,"
            " refused (a dead letter), or unavailable (an event without a label).",
            "outcome",
        )
        self.drift = gauge(
            "drift_psi",
            "How much the last windows differ from what the model has learned from (population"
            " stability index: 0.1 is little, 0.25 much), by feature that matters most, `labels`"
            " and `confidence`. NaN until enough was seen.",
            "of",
        )
        self.confidence = histogram(
            "confidence",
            "Largest probability that the model gave a window.",
            buckets=[tenth / 10 for tenth in range(1, 11)],
        )

        self.endpoint_calls = counter(
            "endpoint_calls",
            "Calls of the prediction endpoint: answered, refused, throttled, error, timeout,"
            " wrong_answer, or cancelled (a hedged one that was slower).",
            "outcome",
        )
        self.endpoint_call_seconds = histogram(
            "endpoint_call_seconds", "Time of one call, however it ended."
        )
        self.endpoint_call_windows = histogram(
            "endpoint_call_windows", "Windows of one call.", buckets=_SIZES
        )
        self.endpoint_retries = counter("endpoint_retries", "Calls that were further tries.")
        self.endpoint_hedges = counter("endpoint_hedges", "Second calls for slow ones.")
        self.endpoint_concurrency = gauge(
            "endpoint_concurrency_limit", "Calls that may be under way at once."
        )
        self.endpoint_running = gauge("endpoint_calls_running", "Calls under way.")
        self.endpoint_open = gauge(
            "endpoint_breaker_open", "1 while the endpoint is left alone because it fails."
        )

        self.partitions = gauge("assigned_partitions", "Partitions that this worker has.")
        self.broken = gauge(
            "broken_partitions", "Partitions stopped because something breaks on their records."
        )
        self.devices = gauge("devices", "Devices remembered.")
        self.lag_records = gauge("lag_records", "Records not read yet.", "partition")
        self.lag_seconds = gauge(
            "lag_seconds", "Age of the last record read while there are more, else 0.", "partition"
        )
        self.recoveries = counter("recoveries", "Partitions built again from the log.")
        self.recovery_records = counter("recovery_records", "Records read again in recoveries.")
        self.recovery_remaining = gauge(
            "recovery_remaining_records", "Records still to be read again.", "partition"
        )
        self.restarts = counter("restarts", "Times that the Kafka clients were restarted.")

    def stage(self, name: str) -> Timer:
        """Times a stage: ``with metrics.stage("decode"): ...``."""
        return self.stage_seconds.labels(name).time()

    def count_call(self, outcome: str, windows: int, seconds: float) -> None:
        """Count a call of the endpoint."""
        self.endpoint_calls.labels(outcome).inc()
        self.endpoint_call_windows.observe(windows)
        self.endpoint_call_seconds.observe(seconds)

    def count_decoded(self, records: int, decoded: Decoded) -> None:
        """Count a fetch as it came."""
        lost = sum(reject.samples for reject in decoded.rejects)
        self.records.inc(records)
        self.fetch_records.observe(records)
        self.samples_received.inc(len(decoded.record) + lost)
        self.samples.labels("rejected").inc(lost)
        for reject in decoded.rejects:
            self.rejects.labels(reject.reason).inc()

    def count_tally(self, tally: Tally, received: int) -> None:
        """Count what became of samples and windows, of so many samples received."""
        self.samples_waiting.inc(received - tally.used - tally.late - tally.duplicate)
        self.samples.labels("used").inc(tally.used)
        self.samples.labels("late").inc(tally.late)
        self.samples.labels("duplicate").inc(tally.duplicate)
        self.windows_opened.inc(tally.opened)
        self.windows.labels("predicted").inc(tally.closed)
        for reason, count in tally.skipped.items():
            self.windows.labels(reason).inc(count)
        self.windows_open.inc(tally.opened - tally.closed - tally.skipped.total())
        self.windows_unsettled.inc(tally.unsettled)
        self.fetch_windows.observe(tally.closed)

    def count_taken_over(self, devices: int, windows: int, samples: int) -> None:
        """Count what a partition comes with: devices, open windows, waiting samples."""
        self.devices.inc(devices)
        self.windows_opened.inc(windows)
        self.windows_open.inc(windows)
        self.samples_received.inc(samples)
        self.samples_waiting.inc(samples)

    def count_moved(self, devices: int, windows: int, samples: int) -> None:
        """Count what a partition goes with: devices, open windows, waiting samples."""
        self.devices.dec(devices)
        self.windows.labels("moved").inc(windows)
        self.windows_open.dec(windows)
        self.samples.labels("moved").inc(samples)
        self.samples_waiting.dec(samples)

    def forget(self, partition: int) -> None:
        """Stop showing what was known of a partition that is another worker's now."""
        for gauge in (self.lag_records, self.lag_seconds, self.recovery_remaining):
            gauge.remove(str(partition))

    def count_events(self, events: Sequence[ActivityEvent]) -> None:
        """Count events that are committed."""
        for activity, count in Counts(event.activity for event in events).items():
            self.events.labels(activity).inc(count)
        asked = Counts((event.predictor, event.model) for event in events if event.model)
        for (predictor, model), count in asked.items():
            self.predictions.labels(predictor, f"{model.id} {model.version}").inc(count)


def documentation() -> str:
    """Every metric as a Markdown table."""
    rows = ["| metric | type | labels | meaning |", "|---|---|---|---|"]
    for entry in Metrics().catalogue:
        labels = ", ".join(f"`{label}`" for label in entry.labels)
        rows.append(f"| `{entry.name}` | {entry.type} | {labels} | {entry.meaning} |")
    return "\n".join(rows) + "\n"


if __name__ == "__main__":
    print(documentation(), end="")
