"""The metrics of a gateway; `streamer.metrics` has those of a worker."""

from collections.abc import Callable
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Histogram, Info

from streamer import __version__
from streamer.metric_definitions import MetricDefinitions

PROTOCOLS: Final = ("http", "websocket", "mqtt")


class GatewayMetrics:
    """All metrics of a gateway, in a registry of its own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        define = MetricDefinitions(self.registry)
        self.catalogue = define.catalogue
        counter, gauge, histogram = define.counter, define.gauge, define.histogram

        self.build = Info("streamer_build", "Version of this program.", registry=self.registry)
        self.build.info({"version": __version__})

        self.readings = counter(
            "gateway_readings",
            "Readings by protocol and outcome: accepted (Kafka has acknowledged them), unreadable,"
            " unauthorised, forbidden, limited, busy, too_large, bad_request. When busy ones grow,"
            " look at the brokers; when limited ones grow, a device sends too much; for the others"
            " the clients are told what is wrong.",
            "protocol",
            "outcome",
        )
        self.samples = counter(
            "gateway_samples", "Samples that Kafka has acknowledged, by protocol.", "protocol"
        )
        self.unreadable = counter(
            "gateway_unreadable",
            "Readings that the worker would reject, by the reason of the contract. When it grows,"
            " look at the apps: each answer says what is wrong.",
            "reason",
        )
        self.acknowledge_seconds = histogram(
            "gateway_acknowledge_seconds",
            "From the arrival of readings to their acknowledgement by Kafka. When it grows, look at"
            " the brokers, or add gateways.",
            "protocol",
        )
        self.buffered_bytes = gauge(
            "gateway_buffered_bytes",
            "Size of the readings that wait for Kafka. When it reaches `gateway_buffer_bytes`,"
            " clients are told to try again later.",
        )
        self.waiting_seconds = gauge(
            "gateway_waiting_seconds",
            "How long the oldest reading has waited for Kafka; 0 if none waits. When it grows,"
            " Kafka does not answer.",
        )
        self.connections = gauge(
            "gateway_connections",
            "Open connections. When it reaches `gateway_max_connections`, new ones are refused: add"
            " gateways.",
        )
        self.websockets = gauge("gateway_websockets", "Open WebSockets of devices.")
        self.refused_connections = counter(
            "gateway_refused_connections",
            "Connections that were refused because there were too many. When it grows, raise"
            " `gateway_max_connections` or add gateways.",
        )
        self.mqtt_connected = gauge(
            "gateway_mqtt_connected",
            "1 while the gateway is subscribed at the MQTT broker; 0 without one. When it stays 0,"
            " the log says why.",
        )
        define.certificates()
        self._accepted: dict[str, tuple[Counter, Counter, Histogram]] = {
            protocol: (
                self.readings.labels(protocol, "accepted"),
                self.samples.labels(protocol),
                self.acknowledge_seconds.labels(protocol),
            )
            for protocol in PROTOCOLS
        }

    def count_accepted(self, protocol: str, readings: int, samples: int, seconds: float) -> None:
        """Count readings of a request that Kafka has acknowledged."""
        counted_readings, counted_samples, duration = self._accepted[protocol]
        counted_readings.inc(readings)
        counted_samples.inc(samples)
        duration.observe(seconds)

    def show_buffer(self, size: Callable[[], float], waiting_s: Callable[[], float]) -> None:
        """Let the gauges of the buffer be computed whenever they are scraped."""
        self.buffered_bytes.set_function(size)
        self.waiting_seconds.set_function(waiting_s)
