"""Traces and metrics, as a collector of OpenTelemetry receives them."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest

from streamer.contracts.records import OneRecord
from streamer.kafka import topics
from streamer.metrics import Metrics
from streamer.settings import Settings
from tests.conftest import MakeSettings
from tests.support.member import WINDOWS_OF_10_S, Member, publish, ten_seconds
from tests.support.processes import until

if TYPE_CHECKING:
    from opentelemetry.proto.trace.v1.trace_pb2 import Span

telemetry = pytest.importorskip("streamer.process.telemetry", exc_type=ImportError)

PARENT = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@contextmanager
def collector() -> Iterator[tuple[str, dict[str, list[bytes]]]]:
    """A server that keeps what is sent to it, by path."""
    received: dict[str, list[bytes]] = {"/v1/traces": [], "/v1/metrics": []}

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            received[self.path].append(self.rfile.read(int(self.headers["content-length"])))
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", received
        finally:
            server.shutdown()
            thread.join()


def spans_of(received: dict[str, list[bytes]]) -> "list[Span]":
    """Return all spans that a collector has received."""
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
        ExportTraceServiceRequest,
    )

    return [
        span
        for body in received["/v1/traces"]
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    ]


def has_counted(member: Member, name: str, number: int) -> bool:
    return member.value(name) >= number


async def test_a_fetch_without_output_has_a_span(
    make_settings: MakeSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    #   fetch     0 .. 4   5 .. 9   10 .. 14
    #   commit         |  none     none, until the end: no window is complete
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_COMPRESSION", "none")
    records = ten_seconds("phone", batch=5)[:15]
    with collector() as (url, received):
        # A member that leaves the group and joins again would read records a second time.
        settings = make_settings(partitions=1, otlp_endpoint=url, session_timeout_s=120)
        await topics.ensure(settings)
        member = Member(settings)
        with telemetry.open_telemetry(settings, member.metrics):
            running = asyncio.create_task(member.run())
            for end in (5, 10, 15):
                await publish(settings, records[end - 5 : end])
                has_read = partial(has_counted, member, "records_total", end)
                await asyncio.to_thread(until, has_read)
            member.stopping.set()
            await running
    covered: set[int] = set()
    for span in spans_of(received):
        numbers = {each.key: each.value.int_value for each in span.attributes}
        if "streamer.first_offset" in numbers:
            covered.update(
                range(numbers["streamer.first_offset"], numbers["streamer.last_offset"] + 1)
            )
    assert covered >= set(range(len(records)))


async def test_a_collector_gets_a_span_for_each_fetch_and_all_metrics(
    make_settings: MakeSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
        ExportMetricsServiceRequest,
    )

    monkeypatch.setenv("OTEL_EXPORTER_OTLP_COMPRESSION", "none")
    with collector() as (url, received):
        settings = make_settings(partitions=1, otlp_endpoint=url)
        await topics.ensure(settings)
        traced = [
            OneRecord(each.key, each.value, [*each.headers, ("traceparent", PARENT)], 0, 0)
            for each in ten_seconds("phone")
        ]
        await publish(settings, traced)
        member = Member(settings, until_end=True)
        with telemetry.open_telemetry(settings, member.metrics):
            await member.run()
        assert member.metrics.tracer is None

    spans = spans_of(received)
    roots = [span for span in spans if span.name == f"process {settings.readings_topic}"]
    numbers = [{each.key: each.value.int_value for each in span.attributes} for span in roots]
    assert sum(each["messaging.batch.message_count"] for each in numbers) == len(traced)
    assert sum(each["streamer.events"] for each in numbers) in WINDOWS_OF_10_S
    # Each root has links to the spans of producers, and its stages lie inside it.
    for root in roots:
        assert [link.span_id.hex() for link in root.links] == ["b7ad6b7169203331"]
        for stage in spans:
            if stage.parent_span_id == root.span_id:
                assert stage.trace_id == root.trace_id
                assert root.start_time_unix_nano <= stage.start_time_unix_nano
                assert stage.end_time_unix_nano <= root.end_time_unix_nano
    assert {span.name for span in spans} >= {"features", "predict", "commit"}

    points = {
        metric.name: metric
        for body in received["/v1/metrics"]
        for resource in ExportMetricsServiceRequest.FromString(body).resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
    }
    [records] = points["streamer_records_total"].sum.data_points
    assert records.as_double == len(traced)


def test_metrics_that_get_their_first_labels_after_the_start_are_sent() -> None:
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import InMemoryMetricReader, NumberDataPoint

    metrics, reader = Metrics(), InMemoryMetricReader()
    meters = MeterProvider([reader], shutdown_on_exit=False)
    telemetry.show_metrics(meters.get_meter("test"), metrics.registry)
    metrics.lag_seconds.labels("0").set(2.5)
    metrics.stage_seconds.labels("commit").observe(0.5)
    metrics.build.info({"version": "x"})
    data = reader.get_metrics_data()
    meters.shutdown()

    assert data is not None
    points: dict[str, list[tuple[float, dict[str, object]]]] = {}
    for resource in data.resource_metrics:
        for scope in resource.scope_metrics:
            for metric in scope.metrics:
                points[metric.name] = [
                    (point.value, dict(point.attributes or {}))
                    for point in metric.data.data_points
                    if isinstance(point, NumberDataPoint)
                ]
    assert points["streamer_lag_seconds"] == [(2.5, {"partition": "0"})]
    assert points["streamer_stage_seconds_sum"] == [(0.5, {"stage": "commit"})]
    assert {"streamer_stage_seconds_bucket", "streamer_stage_seconds_count"} <= points.keys()
    assert "streamer_build_info" in points
    assert not any(name.endswith("_created") for name in points)


async def test_headers_that_name_no_span_give_no_link() -> None:
    headers = [b"", b"00-zz", b"\xff", PARENT, b"00-" + b"0" * 32 + b"-" + b"0" * 16 + b"-01"]
    assert [f"{each.span_id:x}" for each in telemetry.read_contexts(headers)] == [
        "b7ad6b7169203331"
    ]


def test_without_the_setting_nothing_is_traced() -> None:
    assert Settings.load({}).otlp_endpoint is None
    assert Metrics().tracer is None
