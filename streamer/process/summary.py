"""Logs a summary when a worker ends: records, samples and windows by outcome, and advice."""

import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, fields, replace
from typing import Final, NamedTuple

import structlog
from prometheus_client import metrics as prometheus

from streamer.health import Health
from streamer.metrics import LARGE_DRIFT, Metrics

log = structlog.get_logger(__name__)

NO_EVENTS: Final = 3
"""Exit code of a worker that has read records and published no event."""

NOTICEABLE: Final = 0.05
"""Share of windows, or of samples, from which advice about a fate is logged."""

MOST_NAMED: Final = 5
"""Devices that are named for each reason why they have no label."""


_SKIPPED = {
    "gap": "devices stop or lose samples for longer than max_gap_ms",
    "idle": "devices stop sending before a window is complete",
    "crowded": "a partition has more devices than max_devices, which pushes out the others",
    "clock": "devices' clocks go back, or a sample was stamped ahead; the log names the devices",
    "coverage": "devices lose samples: fewer than min_coverage of a window's samples were there",
    "sampling_rate": "devices change their sampling rate all the time",
    "implausible": "devices send other units than g and rad/s; the log names them",
    "no_gyroscope": "devices send no rotation, and the model needs it",
}
_NOT_SKIPPED = {"predicted", "moved", "unanswered"}


class Advice(NamedTuple):
    """A problem, and what to do about it."""

    problem: str
    remedy: str


@dataclass(slots=True)
class Summary:
    """Counts of one worker, or of several together."""

    records: int = 0
    """Records read, without those that a recovery has read again."""
    rejects: Counter[str] = field(default_factory=Counter)
    """Records rejected, by reason."""
    samples: Counter[str] = field(default_factory=Counter)
    """Samples by fate."""
    windows: Counter[str] = field(default_factory=Counter)
    """Windows by fate, those still open included."""
    answers: Counter[str] = field(default_factory=Counter)
    """Windows by the answer of the predictor."""
    events: Counter[str] = field(default_factory=Counter)
    """Events by activity."""
    split_devices: int = 0
    """Devices whose readings were in two partitions."""
    unfamiliar_devices: int = 0
    """Devices that were found to move in a way that the model has not learned."""
    unlabelled: Counter[tuple[str, str]] = field(default_factory=Counter)
    """Devices of which no window could be labelled, each with the reason."""
    implausible: Counter[str] = field(default_factory=Counter)
    """Windows in other units than g and rad/s, by what they look like."""
    drifted: Counter[str] = field(default_factory=Counter)
    """Stability indices above `LARGE_DRIFT`, in hundredths, by what has changed."""

    @classmethod
    def of(cls, metrics: Metrics, health: Health) -> "Summary":
        """Read the counts from a worker's metrics, and the names from its health."""
        windows = _by_label(metrics.windows)
        windows["open"] = _value(metrics.windows_open)
        samples = _by_label(metrics.samples)
        samples["waiting"] = _value(metrics.samples_waiting)
        drift = _values(metrics.drift)
        return cls(
            records=_value(metrics.records),
            rejects=_by_label(metrics.rejects),
            samples=+samples,
            windows=+windows,
            answers=_by_label(metrics.answers),
            events=_by_label(metrics.events),
            split_devices=_value(metrics.split_devices),
            unfamiliar_devices=_value(metrics.found_unfamiliar),
            unlabelled=Counter(health.unlabelled.items()),
            implausible=_by_label(metrics.implausible),
            drifted=Counter({name: round(100 * x) for name, x in drift if x > LARGE_DRIFT}),
        )

    def __add__(self, other: "Summary") -> "Summary":
        """Add the counts of two workers; of their stability indices take the larger one."""
        total = Summary(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(self)))
        return replace(total, drifted=self.drifted | other.drifted)

    @property
    def skipped(self) -> Counter[str]:
        """Windows that ended without a prediction, by reason."""
        return Counter(
            {name: n for name, n in self.windows.items() if name not in {*_NOT_SKIPPED, "open"}}
        )

    def exit_code(self, *, until_end: bool) -> int:
        """Return `NO_EVENTS` when records were read and no event was published, otherwise 0.

        A worker that was stopped may leave windows that are open, or closed and not committed: the
        next worker publishes them. Its exit code is `NO_EVENTS` only if records, samples or windows
        were lost.
        """
        if self.events.total() or not self.records:
            return 0
        lost = self.rejects.total() + self.skipped.total() + self.samples["late"]
        closed = self.windows["predicted"] + self.windows["unanswered"]
        is_lost = lost > 0 and not closed
        return NO_EVENTS if until_end or is_lost else 0

    def advice(self) -> Iterator[Advice]:
        """Yield what an operator should look at; nothing when all is well."""
        if self.records and not self.events.total():
            remedy = (
                "look at the outcomes of samples and windows above; a window needs 2.6 s of both"
                " sensors"
            )
            if self.records > self.rejects.total() and not self.samples.total():
                remedy = (
                    "no record has any of the sensors that the profile names: compare its `where` "
                    "with a record"
                )
            yield Advice("records were read and no event was published", remedy)
        if self.rejects:
            yield Advice(
                f"{self.rejects.total()} records were rejected ({_words(self.rejects)})",
                "`streamer dlq list` shows them and why",
            )
        ended = self.skipped.total() + self.windows["predicted"]
        for reason, count in self.skipped.items():
            if count > NOTICEABLE * ended:
                yield Advice(
                    f"{count} of {ended} windows were skipped: {reason}",
                    _SKIPPED.get(reason, "docs/devices.md says what devices have to send"),
                )
        if self.samples["late"] > NOTICEABLE * self.samples.total():
            yield Advice(
                f"{self.samples['late']} of {self.samples.total()} samples came too late",
                "raise allowed_lateness_ms, or look for devices whose clock goes back",
            )
        yield from self._advise_on_devices()
        for outcome in ("refused", "unavailable"):
            if count := self.answers[outcome]:
                yield Advice(
                    f"the predictor has answered {outcome} for {count} windows",
                    "look at the endpoint; the log has its error messages",
                )
        # Other activities change the features and the labels, but not the confidence.
        if "confidence" in self.drifted:
            yield Advice(
                "the confidence of the model differs from that in training",
                "docs/models.md says how to train with recordings of the people that you have",
            )

    def _advise_on_devices(self) -> Iterator[Advice]:
        if self.unlabelled:
            yield Advice(
                f"{self.unlabelled.total()} devices have no label ({self._name_unlabelled()})",
                "docs/devices.md says what the reasons mean",
            )
        if self.split_devices:
            yield Advice(
                f"{self.split_devices} devices had readings in two partitions",
                "docs/contracts.md says how to set the partitioner of each Kafka client",
            )
        if self.unfamiliar_devices:
            yield Advice(
                f"{self.unfamiliar_devices} devices moved in a way that the model has not learned",
                "the log names them; docs/models.md says which places the models know and how to "
                "train one for another place",
            )

    def _name_unlabelled(self) -> str:
        """Return the reasons and, for each of them, some of the devices."""
        devices: dict[str, list[str]] = {}
        for device_id, reason in sorted(self.unlabelled):
            devices.setdefault(reason, []).append(device_id)
        return "; ".join(
            f"{reason} {len(names)}: {', '.join(names[:MOST_NAMED])}"
            + (", ..." if len(names) > MOST_NAMED else "")
            for reason, names in devices.items()
        )

    def write_log(self) -> None:
        """Log the counts, a line for each kind, and a warning for each advice."""
        log.info("summary of records", read=self.records, rejected=dict(self.rejects))
        log.info("summary of samples", **_total(self.samples))
        log.info("summary of windows", **_total(self.windows))
        log.info("summary of events", **_total(self.events))
        if self.implausible:
            log.info("summary of windows that look wrong", **_total(self.implausible))
        if self.drifted:
            indices = {name: index / 100 for name, index in self.drifted.most_common()}
            log.info("summary of drift", above_0_25=indices)
        for problem, remedy in self.advice():
            log.warning(problem, remedy=remedy)


def _total(counts: Counter[str]) -> dict[str, object]:
    return {"total": counts.total(), "of_which": dict(counts.most_common())}


def _words(counts: Counter[str]) -> str:
    return ", ".join(f"{name} {count}" for name, count in counts.most_common())


def _values(metric: prometheus.MetricWrapperBase) -> list[tuple[str, float]]:
    """Return the first label and the value of each series of a metric that is a number."""
    return [
        (next(iter(sample.labels.values()), ""), sample.value)
        for family in metric.collect()
        for sample in family.samples
        if not sample.name.endswith("_created") and not math.isnan(sample.value)
    ]


def _value(metric: prometheus.MetricWrapperBase) -> int:
    return int(sum(value for _, value in _values(metric)))


def _by_label(metric: prometheus.MetricWrapperBase) -> Counter[str]:
    return +Counter({label: int(value) for label, value in _values(metric)})
