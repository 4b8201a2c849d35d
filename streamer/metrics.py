"""The catalogue of metrics: every name, label and meaning, and what to do when a metric grows.

It is one long module because it is one table. `docs/metrics.md` is made from it (``python -m
streamer.metrics``).
"""

import threading
import time
from collections import Counter as Counts
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

from prometheus_client import CollectorRegistry, Info
from prometheus_client.context_managers import Timer

from streamer import __version__
from streamer.contracts.events import ActivityEvent
from streamer.contracts.readings import Decoded, RejectReason
from streamer.gateway_metrics import GatewayMetrics
from streamer.metric_definitions import AGES, MetricDefinitions
from streamer.model_metrics import ModelMetrics
from streamer.printable import printable
from streamer.stream.accounting import Skip, Tally

if TYPE_CHECKING:
    from streamer.fetch_traces import FetchTracer

SLIGHT_DRIFT: Final = 0.1
"""Population stability index from which a distribution has changed slightly."""

LARGE_DRIFT: Final = 0.25
"""Population stability index from which a distribution has changed much."""

_SIZES = (1, 4, 16, 64, 256, 1024, 4096, 16384)


class Metrics(ModelMetrics):
    """All metrics of a worker, in a registry of its own.

    They balance at any time::

        samples_received = sum(samples) + samples_waiting
        windows_opened   = sum(windows) + windows_open
    """

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self.registry = CollectorRegistry()
        self.lock = threading.RLock()
        """Held while related metrics are counted, and while all are shown."""
        self.tracer: FetchTracer | None = None
        """Records the spans of fetches; None where nobody asks for traces."""

        define = MetricDefinitions(self.registry)
        self.catalogue = define.catalogue
        counter, gauge, histogram = define.counter, define.gauge, define.histogram

        self.build = Info("streamer_build", "Version of this program.", registry=self.registry)
        self.build.info({"version": __version__})

        self.worker = gauge(
            "worker_info", "1, with the group and the topic of the worker.", "group", "topic"
        )
        self.ready = gauge(
            "ready",
            "1 when the worker is ready, as `/readyz` says. When it stays 0, look at"
            " `streamer_not_ready`.",
        )
        self.not_ready = gauge(
            "not_ready",
            "1 for each reason why the worker is not ready. The table *When something is wrong* in"
            " docs/operations.md says what to do about each reason.",
            "reason",
        )
        self.connected = gauge(
            "connected",
            "1 while the worker is in its consumer group and Kafka answers. When it is 0, look at"
            " the brokers and at the network.",
        )
        self.commit_age = gauge(
            "last_commit_age_seconds",
            "Seconds since the last commit, or since the start when there was none. It grows while"
            " nothing is read; when it grows and there is lag, the worker is stalled.",
        )
        self.event_age = gauge(
            "last_event_age_seconds",
            "Seconds since the last commit of an event, or since the start when there was none."
            " When it grows and records arrive, look at `streamer_windows_total` for the reason.",
        )
        self.newest_record_age = gauge(
            "newest_record_age_seconds",
            "Seconds since the newest record that was read, by its Kafka timestamp, or since the"
            " start when there was none. When it grows and there is no lag, no device publishes.",
        )
        self.worst_lag = gauge(
            "worst_lag_seconds",
            "Largest `streamer_lag_seconds`. Without a connection it is at least the time since"
            " Kafka has answered. It is there before any partition is assigned.",
        )

        text = "Records read, without those that a recovery has read again."
        self.records = counter("records", text)
        self.rejects = counter(
            "rejects",
            "Records rejected, by reason. When it grows, `streamer dlq list` shows the reasons.",
            "reason",
        )
        self.samples_received = counter("samples_received", "Samples in the records read.")
        self.samples = counter(
            "samples",
            "Samples by outcome: used, late, duplicate, rejected, or moved to another worker while"
            " they waited. When late ones grow, raise `allowed_lateness_ms` or look for a device"
            " whose clock is wrong.",
            "outcome",
        )
        self.device_restarts = counter(
            "device_restarts",
            "Devices that started anew because all their samples were late for some seconds. When"
            " it grows, the log names them: their clocks go back, or a sample was stamped ahead.",
        )
        self.devices_pushed_out = counter(
            "devices_pushed_out",
            "Times that a device was forgotten because its partition had more than `max_devices`."
            " When it grows, give the topic more partitions, raise `max_devices`, or look for a"
            " publisher that makes up device ids.",
        )
        self.devices_ahead = counter(
            "devices_ahead",
            "Times that a device was found whose records have timestamps ahead of all others. When"
            " it grows, the log names the devices; set `message.timestamp.type=LogAppendTime`.",
        )
        text = "Windows in other units than g and rad/s. When it grows, the log names devices."
        self.implausible = counter("implausible_windows", text, "looks_like")
        self.samples_waiting = gauge(
            "samples_waiting", "Samples that wait for the watermark of their device to pass."
        )
        self.dead_letters = counter(
            "dead_letters",
            "Records written to the dead-letter topic. When it grows, look at `streamer dlq list`.",
        )

        self.windows_opened = counter(
            "windows_opened", "Windows opened here, or taken over open from another worker."
        )
        self.windows = counter(
            "windows",
            "Windows by outcome: predicted, skipped with the reason, moved to another worker while"
            " they were open, or unanswered (they moved while they waited for their prediction; the"
            " next owner predicts them). When skipped ones grow, see docs/operations.md.",
            "outcome",
        )
        text = "Windows that wait for samples or for their prediction."
        self.windows_open = gauge("windows_open", text)
        self.windows_unsettled = counter(
            "windows_unsettled",
            "Windows closed while the filters were still settling. When their share grows,"
            " devices stop and start often.",
        )
        self.predictions = counter(
            "predictions",
            "Windows labelled and committed, by predictor and model.",
            "predictor",
            "model",
        )
        self.events = counter("events", "Activity events committed, by activity.", "activity")
        self.segments = counter("segments", "Activity segments that have ended, committed.")
        self.event_latency = histogram(
            "event_latency_seconds",
            "From the Kafka timestamp of the oldest record of a fetch to the commit of its events."
            " When it grows, `streamer_stage_seconds` shows which stage takes the time.",
        )

        self.stage_seconds = histogram(
            "stage_seconds",
            "Time that a fetch spends in a stage: decode, windows, features, predict or commit.",
            "stage",
        )
        self.sensor_delay = histogram(
            "sensor_delay_seconds",
            "From the newest sample of a record to its Kafka timestamp, by the clock of the device:"
            " `right`; `ahead`, and then by how much; `behind`, as it also seems for a device that"
            " sends late. When it grows for `right`, look at the devices' network and batches.",
            "clock",
            buckets=AGES,
        )
        self.skewed_devices = gauge(
            "skewed_devices",
            "Devices whose samples are stamped after Kafka's timestamp (`ahead`), or reach Kafka"
            " later than a minute (`behind`). When it grows, set their clocks, or have them send"
            " sooner.",
            "clock",
        )
        self.label_age = histogram(
            "label_age_seconds",
            "From the end of a window by the clock of its device to the commit of its label. When"
            " it grows, `streamer_label_delay_seconds` shows where the time goes. Devices whose"
            " clock is `ahead` are left out.",
            "clock",
            buckets=AGES,
        )
        self.label_delay = histogram(
            "label_delay_seconds",
            "Where the time of a label goes: sensor_to_broker, broker_to_worker, window (until the"
            " device has sent what comes after the window), features, predict, commit. Mean of a"
            " fetch, counted once for each of its labels.",
            "stage",
            buckets=AGES,
        )
        self.fetch_records = histogram("fetch_records", "Records in a fetch.", buckets=_SIZES)
        self.fetch_windows = histogram(
            "fetch_windows", "Windows that a fetch has closed.", buckets=_SIZES
        )

        self.answers = counter(
            "answers",
            "Windows by the answer: local (a predictor in the process), endpoint, fallback, refused"
            " (a dead letter) or unavailable (an event without a label). When fallback, refused or"
            " unavailable ones grow, look at the endpoint.",
            "outcome",
        )
        self.define_model_metrics(define)
        self.drift = gauge(
            "drift_psi",
            "How much recent windows differ from the training data (population stability index:"
            f" below {SLIGHT_DRIFT} little, above {LARGE_DRIFT} much), for each watched feature,"
            " for `labels` and for `confidence`. NaN before 500 windows. When `confidence` grows,"
            " train with recordings of your people.",
            "of",
        )
        self.confidence = histogram(
            "confidence",
            "Largest probability in a prediction.",
            buckets=[tenth / 10 for tenth in range(1, 11)],
        )

        self.endpoint_calls = counter(
            "endpoint_calls",
            "Calls of the prediction endpoint by outcome: answered, refused, throttled, error,"
            " timeout, wrong_answer, or cancelled (a hedged call that was slower). When throttled"
            " ones grow, lower `max_rate` or raise the quota.",
            "outcome",
        )
        self.endpoint_call_seconds = histogram(
            "endpoint_call_seconds", "Time of one call of the endpoint, with any outcome."
        )
        self.endpoint_call_windows = histogram(
            "endpoint_call_windows", "Windows in one call of the endpoint.", buckets=_SIZES
        )
        self.endpoint_retries = counter(
            "endpoint_retries",
            "Calls of the endpoint that repeat one that has failed. When it grows, look at"
            " `streamer_endpoint_calls_total` for the outcome.",
        )
        self.endpoint_hedges = counter(
            "endpoint_hedges", "Second calls of the endpoint, made because the first one was slow."
        )
        self.endpoint_concurrency = gauge(
            "endpoint_concurrency_limit",
            "Calls of the endpoint that may run at the same time; below 1 there are pauses between"
            " calls. It falls when the endpoint throttles.",
        )
        self.endpoint_running = gauge("endpoint_calls_running", "Calls of the endpoint that run.")
        text = "1 while the circuit breaker is open: the endpoint fails and is not called."
        self.endpoint_open = gauge("endpoint_breaker_open", text)

        self.batches_waiting = gauge(
            "batches_waiting",
            "Batches of `amazon-ml-batch` that are stored and whose events are not committed. A"
            " partition has 10 at most, and then reads no more. When it stays high, the jobs take"
            " longer than `batch_interval_s`: make it longer.",
        )
        self.oldest_batch = gauge(
            "oldest_batch_seconds",
            "Seconds for which the oldest of these batches has waited; 0 without any. When it"
            " grows beyond the usual time of a job, `/readyz` and the log say what has failed.",
        )

        self.partitions = gauge("assigned_partitions", "Partitions that this worker has.")
        self.held = gauge(
            "held_partitions",
            "Partitions that stand still: our own code fails on a record, too many records are"
            " rejected, or the output has no partition. When it is above 0, `/readyz` and the log"
            " say why, and docs/operations.md what to do.",
        )
        self.devices = gauge("devices", "Devices whose state the worker keeps.")
        self.unfamiliar_devices = gauge(
            "unfamiliar_devices",
            "Devices that move in a way that the model has not learned. When it grows, the log"
            " names them: find out where they are worn, or use a model of that place.",
        )
        self.found_unfamiliar = counter(
            "devices_found_unfamiliar",
            "Devices that became unfamiliar, each counted once until it is forgotten. When it"
            " grows, look at `streamer_unfamiliar_devices`.",
        )
        text = "Devices without any label, by the last reason; see docs/devices.md when it grows."
        self.unlabelled_devices = gauge("unlabelled_devices", text, "reason")
        self.split_devices = counter(
            "split_devices",
            "Devices whose readings were seen in two partitions. Their events are wrong in both:"
            " when it is above 0, the log names them, and docs/contracts.md says how to set the"
            " partitioner of each client.",
        )
        self.lag_records = gauge(
            "lag_records",
            "Records of the partition whose output is not committed yet, including those that wait"
            " for an endpoint. When it grows, add workers or look for the slow stage.",
            "partition",
        )
        self.group_lag_records = gauge(
            "group_lag_records",
            "Records behind the committed offset of the group: the lag that Kafka's own tools show."
            " It counts records that are settled already and that a recovery would read again, so"
            " it never falls to 0. Alert on `streamer_lag_records`.",
            "partition",
        )
        self.lag_seconds = gauge(
            "lag_seconds",
            "Smallest possible age of the labels of the partition; 0 when the worker keeps up. It"
            " also grows while Kafka does not say whether there are more records.",
            "partition",
        )
        self.records_lost = counter(
            "records_lost",
            "Records that were deleted before they were read, by reason. When it grows, give the"
            " topic a longer retention or the group more workers; the log says where.",
            "reason",
        )
        self.position_resets = counter(
            "position_resets",
            "Partitions that did not start at the committed position of the group, by reason. When"
            " it grows, records are lost or windows are published again: the log says which.",
            "reason",
        )
        self.recoveries = counter(
            "recoveries",
            "Partitions whose state was rebuilt from the log. When it keeps growing, partitions"
            " keep moving: look for workers that restart.",
        )
        text = "Records that recoveries have read again."
        self.recovery_records = counter("recovery_records", text)
        self.recovery_remaining = gauge(
            "recovery_remaining_records",
            "Records that a recovery still has to read again. When it does not fall, fetching is"
            " slow.",
            "partition",
        )
        self.stored_windows = counter("stored_windows", "Windows stored by `store_features`.")
        self.unstored_windows = gauge(
            "unstored_windows",
            "Windows that wait to be stored. When it grows beyond what comes in `store_interval_s`,"
            " the store does not answer: see `streamer_store_failures_total` and the log. At 20,000"
            " the partition waits.",
        )
        self.store_failures = counter(
            "store_failures",
            "Failed attempts to store windows. When it grows, look at the log: the bucket, its"
            " permissions, or a full disk.",
        )
        self.restarts = counter(
            "restarts",
            "Restarts of the Kafka clients. When it grows, look at the brokers; the log has the"
            " error.",
        )

        for kind in ("ahead", "behind"):
            self.skewed_devices.labels(kind)
        # A counter that appears with its first fault has not increased for Prometheus.
        for reason in RejectReason:
            self.rejects.labels(reason)
        for outcome in ("used", "late", "duplicate", "rejected", "moved"):
            self.samples.labels(outcome)
        for skip in Skip:
            self.windows.labels(skip)
        for answer in ("local", "endpoint", "fallback", "refused", "unavailable"):
            self.answers.labels(answer)
        for call in ("answered", "refused", "throttled", "error", "timeout", "wrong_answer"):
            self.endpoint_calls.labels(call)

        define.certificates()

        self._clock = clock
        self._committed_s = self._event_s = started_s = clock()
        self._newest_record_s = 0.0
        self.commit_age.set_function(lambda: self._clock() - self._committed_s)
        self.event_age.set_function(lambda: self._clock() - self._event_s)
        self.newest_record_age.set_function(
            lambda: max(0.0, self._clock() - (self._newest_record_s or started_s))
        )

    def stage(self, name: str) -> Timer:
        """Return a timer of a stage: ``with metrics.stage("decode"): ...``."""
        return self.stage_seconds.labels(name).time()

    def count_call(self, outcome: str, windows: int, seconds: float) -> None:
        """Count a call of the endpoint."""
        self.endpoint_calls.labels(outcome).inc()
        self.endpoint_call_windows.observe(windows)
        self.endpoint_call_seconds.observe(seconds)

    def count_reset(self, reason: str, lost: int) -> None:
        """Count a partition that is not taken up where the group has left it."""
        self.position_resets.labels(reason).inc()
        self.records_lost.labels(reason).inc(lost)

    def count_decoded(self, records: int, decoded: Decoded) -> None:
        """Count the records and samples of a fetch, and its rejects."""
        lost = sum(reject.samples for reject in decoded.rejects)
        self.records.inc(records)
        self.fetch_records.observe(records)
        self.samples_received.inc(len(decoded.record) + lost)
        self.samples.labels("rejected").inc(lost)
        for reject in decoded.rejects:
            self.rejects.labels(reject.reason).inc()

    def count_tally(self, tally: Tally, received: int) -> None:
        """Count samples and windows by outcome, after ``received`` samples."""
        self.samples_waiting.inc(received - tally.used - tally.late - tally.duplicate)
        self.samples.labels("used").inc(tally.used)
        self.samples.labels("late").inc(tally.late)
        self.samples.labels("duplicate").inc(tally.duplicate)
        self.device_restarts.inc(tally.restarts)
        self.devices_pushed_out.inc(tally.pushed_out)
        self.windows_opened.inc(tally.opened)
        for reason, count in tally.skipped.items():
            self.windows.labels(reason).inc(count)
        self.windows_open.inc(tally.opened - tally.skipped.total())
        self.windows_unsettled.inc(tally.unsettled)
        self.fetch_windows.observe(tally.closed)

    def count_predicted(self, windows: int) -> None:
        """Count windows whose prediction is there."""
        self.windows.labels("predicted").inc(windows)
        self.windows_open.dec(windows)

    def count_taken_over(self, devices: int, windows: int, samples: int) -> None:
        """Count the state that a partition brings: devices, open windows, waiting samples."""
        self.devices.inc(devices)
        self.windows_opened.inc(windows)
        self.windows_open.inc(windows)
        self.samples_received.inc(samples)
        self.samples_waiting.inc(samples)

    def count_moved(self, devices: int, windows: int, unanswered: int, samples: int) -> None:
        """Count the state that leaves: devices, windows open or unanswered, waiting samples."""
        self.devices.dec(devices)
        self.windows.labels("moved").inc(windows)
        self.windows.labels("unanswered").inc(unanswered)
        self.windows_open.dec(windows + unanswered)
        self.samples.labels("moved").inc(samples)
        self.samples_waiting.dec(samples)

    def forget(self, partition: int) -> None:
        """Stop showing the gauges of a partition that is another worker's now."""
        for gauge in (self.lag_records, self.group_lag_records, self.lag_seconds):
            gauge.remove(str(partition))
        self.recovery_remaining.remove(str(partition))
        self.forget_models(partition)

    def count_arrival(self, timestamp_s: float) -> None:
        """Note the Kafka timestamp (s) of a record that was read."""
        self._newest_record_s = max(self._newest_record_s, timestamp_s)

    def count_commit(self) -> None:
        """Note that a position was committed just now, with or without events."""
        self._committed_s = self._clock()

    def count_events(self, events: Sequence[ActivityEvent]) -> None:
        """Count events that are committed."""
        if events:
            self._event_s = self._clock()
        for activity, count in Counts(event.activity for event in events).items():
            self.events.labels(printable(activity)).inc(count)
        asked = Counts((event.predictor, event.model) for event in events if event.model)
        for (predictor, model), count in asked.items():
            self.predictions.labels(
                printable(predictor), printable(f"{model.id} {model.version}")
            ).inc(count)


def documentation() -> str:
    """Every metric as a Markdown table."""
    rows = ["| metric | type | labels | meaning |", "|---|---|---|---|"]
    catalogue = {entry.name: entry for entry in GatewayMetrics().catalogue + Metrics().catalogue}
    for name, kind, labels, meaning in catalogue.values():
        rows.append(f"| `{name}` | {kind} | {', '.join(f'`{x}`' for x in labels)} | {meaning} |")
    return "\n".join(rows) + "\n"


if __name__ == "__main__":
    print(documentation(), end="")
