"""Sends traces of fetches and all metrics to an OpenTelemetry collector (OTLP over HTTP).

It is imported only with the setting `otlp_endpoint`. A fetch is a span, from the time at which the
worker has its records to the commit of its output, with a span for each stage. The span has links
to the spans of producers that send trace headers. Spans are sent in batches by a thread of their
own; a collector that does not answer costs spans, and nothing else.
"""

import math
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Final

from prometheus_client import CollectorRegistry

from streamer import __version__
from streamer.errors import InstallationError
from streamer.fetch_traces import FetchTimes, FetchTrace
from streamer.metrics import Metrics
from streamer.settings import Settings

try:
    from opentelemetry import trace as api
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.metrics import CallbackOptions, Meter, Observation
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor
    from opentelemetry.trace import Link, SpanKind, set_span_in_context
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
    from opentelemetry.trace.span import SpanContext
except ImportError as error:
    raise InstallationError(
        f"otlp_endpoint needs packages that are not installed ({error}): "
        "pip install 'streamer[otel]'"
    ) from error

METRICS_S: Final = 15.0
"""How often metrics are sent."""

_SUFFIXES: Final = {
    "counter": ("_total",),
    "gauge": ("",),
    "histogram": ("_bucket", "_count", "_sum"),
    "info": ("_info",),
}
"""What the names of samples have after the name of their metric, by its type."""

_TIMEOUT_S: Final = 5
_FRESH_S: Final = 1.0


class SpanRecorder:
    """Makes the spans of fetches that are done."""

    def __init__(self, provider: TracerProvider) -> None:
        self._tracer = provider.get_tracer("streamer", __version__)

    def record(
        self, topic: str, partition: int, trace: FetchTrace, times: FetchTimes, events: int
    ) -> None:
        """Record a fetch and its stages; see `FetchTracer.record`."""
        span = self._tracer.start_span(
            f"process {topic}",
            kind=SpanKind.CONSUMER,
            start_time=_nanoseconds(times.received_s),
            links=[Link(context) for context in read_contexts(trace.parents)],
            attributes={
                "messaging.system": "kafka",
                "messaging.operation.type": "process",
                "messaging.destination.name": topic,
                "messaging.destination.partition.id": str(partition),
                "messaging.batch.message_count": trace.records,
                "streamer.first_offset": trace.first,
                "streamer.last_offset": trace.last,
                "streamer.events": events,
            },
        )
        context = set_span_in_context(span)
        stages = (
            ("features", times.received_s, times.computed_s),
            ("predict", times.computed_s, times.answered_s),
            ("commit", times.answered_s, times.committed_s),
        )
        for name, begin_s, end_s in stages:
            if not math.isnan(begin_s + end_s):
                stage = self._tracer.start_span(name, context, start_time=_nanoseconds(begin_s))
                stage.end(_nanoseconds(end_s))
        span.end(_nanoseconds(times.done_s))


def read_contexts(parents: Iterable[bytes]) -> Iterator[SpanContext]:
    """Yield the spans that trace headers name; headers that name none are left out."""
    propagator = TraceContextTextMapPropagator()
    for parent in parents:
        carrier = {"traceparent": parent.decode(errors="replace")}
        found = api.get_current_span(propagator.extract(carrier)).get_span_context()
        if found.is_valid:
            yield found


@contextmanager
def open_telemetry(settings: Settings, metrics: Metrics) -> Iterator[None]:
    """Send traces and metrics of a worker while the context is open."""
    endpoint = str(settings.otlp_endpoint).rstrip("/")
    resource = Resource.create(
        {
            "service.name": "streamer",
            "service.version": __version__,
            "service.instance.id": settings.instance_id or "",
            "streamer.group": settings.group_id,
        }
    )
    spans = OTLPSpanExporter(f"{endpoint}/v1/traces", timeout=_TIMEOUT_S)
    traces = TracerProvider(resource=resource, shutdown_on_exit=False)
    traces.add_span_processor(BatchSpanProcessor(spans))
    points = OTLPMetricExporter(f"{endpoint}/v1/metrics", timeout=_TIMEOUT_S)
    reader = PeriodicExportingMetricReader(points, export_interval_millis=1000 * METRICS_S)
    meters = MeterProvider([reader], resource, shutdown_on_exit=False)
    show_metrics(meters.get_meter("streamer", __version__), metrics.registry)
    metrics.tracer = SpanRecorder(traces)
    try:
        yield
    finally:
        metrics.tracer = None
        traces.shutdown()
        meters.shutdown(1000 * _TIMEOUT_S)


def show_metrics(meter: Meter, registry: CollectorRegistry) -> None:
    """Show each metric of a registry in OpenTelemetry, with its name and labels.

    Counters and gauges are what they are. The numbers of a histogram are counters: `..._bucket`,
    `..._count` and `..._sum`. The names come from the type: a metric with labels has no samples yet
    when the worker starts.
    """
    snapshot = _Snapshot(registry)
    for family in registry.collect():
        for suffix in _SUFFIXES[family.type]:
            name = family.name + suffix
            callback = partial(snapshot.observe, name)
            if family.type in {"counter", "histogram"}:
                meter.create_observable_counter(name, [callback], description=family.documentation)
            else:
                meter.create_observable_gauge(name, [callback], description=family.documentation)


class _Snapshot:
    """The samples of a registry, collected once for all instruments of an export."""

    def __init__(
        self, registry: CollectorRegistry, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._registry = registry
        self._clock = clock
        self._taken_s = -math.inf
        self._samples: dict[str, list[Observation]] = {}

    def observe(self, name: str, _options: CallbackOptions) -> list[Observation]:
        """Return the samples with a name."""
        if self._clock() - self._taken_s > _FRESH_S:
            samples: dict[str, list[Observation]] = {}
            for family in self._registry.collect():
                for sample in family.samples:
                    point = Observation(sample.value, sample.labels)
                    samples.setdefault(sample.name, []).append(point)
            self._samples, self._taken_s = samples, self._clock()
        return self._samples.get(name, [])


def _nanoseconds(time_s: float) -> int:
    return round(time_s * 1e9)
