"""Whether the worker is connected, makes progress and is ready."""

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from functools import partial
from typing import Protocol

from streamer.metrics import Metrics


class NotReady(StrEnum):
    """Why a worker is not ready, the most fundamental reason first."""

    NOT_CONNECTED = "not connected"
    RECOVERING = "recovering"
    HELD = "held"
    ENDPOINT = "endpoint"
    STALLED = "stalled"


class Lag(Protocol):
    """How far a partition is behind."""

    def records(self) -> int:
        """Records that are not settled."""

    def group_records(self) -> int:
        """Records behind the group's committed offset."""

    def seconds(self) -> float:
        """How old the labels are at least."""


@dataclass(slots=True)
class Health:
    """What `/healthz`, `/readyz` and the gauges of state answer.

    Attributes:
        clock: seconds that never go backwards.
        connected: the consumer group has been joined.
        was_connected: it has been joined at least once.
        answered_s: when Kafka has answered last, by `clock`; the start when it never has.
        lags: the lag of each assigned partition.
        recovering: partitions whose state is still being rebuilt from the log.
        missing_topics: topics that do not exist; the worker waits for them before it joins.
        held: why partitions stand still, one text each.
        failures: restarts of the Kafka clients in a row without any progress.
        endpoint_trouble: why the prediction endpoint does not answer; None while it does.
        model_trouble: why other models were refused; None while they can be used.
        canary_trouble: why the canary was rolled back; None if it was not.
        behind_since: since when there are records and no progress; None while there is some.
        resets: which partitions were not taken up where the group had left them, and why.
        split_devices: how many devices had readings in two partitions.
        unlabelled: why devices have no label at all, see `UnlabelledDevices`.
        open_transactions: which partitions wait for the end of a transaction in the readings.
    """

    clock: Callable[[], float]
    connected: bool = False
    was_connected: bool = False
    answered_s: float = 0.0
    lags: dict[int, Lag] = field(default_factory=dict)
    recovering: set[int] = field(default_factory=set)
    missing_topics: list[str] = field(default_factory=list)
    held: list[str] = field(default_factory=list)
    failures: int = 0
    endpoint_trouble: str | None = None
    model_trouble: str | None = None
    canary_trouble: str | None = None
    behind_since: float | None = None

    resets: list[str] = field(default_factory=list)
    split_devices: int = 0
    unlabelled: dict[str, str] = field(default_factory=dict)
    open_transactions: list[str] = field(default_factory=list)

    patience_s: float = 30.0
    """How long there may be records and no progress before the worker counts as stalled."""

    silence_s: float = 15.0
    """How long Kafka may leave questions unanswered before the worker counts as not connected."""

    def __post_init__(self) -> None:
        self.answered_s = self.clock()

    def endpoint(self, trouble: str | None) -> None:
        """Set why the prediction endpoint does not answer; None when it does."""
        self.endpoint_trouble = trouble

    def note_reset(self, problem: str) -> None:
        """Note that a partition was not taken up where the group had left it.

        The worker stays ready; `trouble` tells it for as long as the process runs.
        """
        self.resets.append(problem)

    def note_split_devices(self, number: int) -> None:
        """Note that so many more devices had readings in two partitions."""
        self.split_devices += number

    def answered(self) -> None:
        """Note that Kafka has answered a question just now."""
        self.answered_s = self.clock()
        self.was_connected |= self.connected

    def progress(self) -> None:
        """Note that records went through, or that there are none."""
        self.behind_since = None
        self.failures = 0

    def no_progress(self) -> None:
        """Note that there are records and none went through."""
        if self.behind_since is None:
            self.behind_since = self.clock()

    @property
    def stalled(self) -> bool:
        """Whether there have been records and no progress for longer than `patience_s`."""
        return self.behind_since is not None and self.clock() - self.behind_since > self.patience_s

    @property
    def silent_s(self) -> float:
        """How long Kafka has not answered; 0 while it answers."""
        silent_s = self.clock() - self.answered_s
        return silent_s if not self.connected or silent_s > self.silence_s else 0.0

    def worst_lag_s(self) -> float:
        """How old the labels are at least, of the partition that is behind most.

        Without a connection it is at least the time since Kafka has answered.
        """
        return max([self.silent_s, *(lag.seconds() for lag in self.lags.values())])

    def _troubles(self) -> dict[NotReady, str]:
        found = {}
        if self.held:
            found[NotReady.HELD] = f"{NotReady.HELD}: {' / '.join(self.held)}"
        if self.endpoint_trouble:
            found[NotReady.ENDPOINT] = f"{NotReady.ENDPOINT}: {self.endpoint_trouble}"
        if self.stalled:
            restarts = f", clients restarted {self.failures} times" if self.failures else ""
            found[NotReady.STALLED] = (
                f"{NotReady.STALLED}: there are records, and none went through for more than "
                f"{self.patience_s:g} s{restarts}"
            )
        return found

    def reasons(self) -> dict[NotReady, str]:
        """Every reason why the worker is not ready, and its details; empty when it is ready."""
        found = {}
        if not self.connected and self.missing_topics:
            found[NotReady.NOT_CONNECTED] = (
                f"{NotReady.NOT_CONNECTED}: waiting for topics that do not exist: "
                f"{', '.join(self.missing_topics)}"
            )
        elif not self.connected:
            found[NotReady.NOT_CONNECTED] = (
                f"{NotReady.NOT_CONNECTED}: the consumer group has not been joined yet"
            )
        elif self.silent_s:
            found[NotReady.NOT_CONNECTED] = (
                f"{NotReady.NOT_CONNECTED}: no broker has answered for {self.silent_s:.0f} s"
            )
        if self.recovering:
            partitions = ", ".join(map(str, sorted(self.recovering)))
            found[NotReady.RECOVERING] = (
                f"{NotReady.RECOVERING}: rebuilding the state of partitions {partitions} "
                "from the log"
            )
        return found | self._troubles()

    def trouble(self) -> str | None:
        """What is wrong and does not belong to a normal start; None when all is well."""
        found = [*self._troubles().values(), *self.open_transactions, *self.resets]
        found += [each for each in (self.model_trouble, self.canary_trouble) if each]
        if self.split_devices:
            found.append(
                f"devices with readings in two partitions: {self.split_devices}. Their events "
                "are wrong: the log names them, docs/contracts.md says how to set the partitioner"
            )
        return found[0] if found else None

    def why_not_ready(self) -> str | None:
        """The first reason why the worker is not ready; None when it is."""
        return next(iter(self.reasons().values()), None)

    def show_in(self, metrics: Metrics) -> None:
        """Let the gauges of state be computed from this whenever they are scraped."""
        metrics.ready.set_function(lambda: float(not self.reasons()))
        for reason in NotReady:
            shown = metrics.not_ready.labels(reason.value)
            shown.set_function(partial(self._is, reason))
        metrics.connected.set_function(lambda: float(NotReady.NOT_CONNECTED not in self.reasons()))
        metrics.worst_lag.set_function(self.worst_lag_s)
        metrics.held.set_function(lambda: len(self.held))

    def _is(self, reason: NotReady) -> float:
        return float(reason in self.reasons())

    def take_partition(self, partition: int, lag: Lag, metrics: Metrics) -> None:
        """Show the lag of a partition from now on."""
        self.lags[partition] = lag
        name = str(partition)
        metrics.lag_records.labels(name).set_function(lag.records)
        metrics.group_lag_records.labels(name).set_function(lag.group_records)
        metrics.lag_seconds.labels(name).set_function(lag.seconds)

    def forget_partition(self, partition: int, metrics: Metrics) -> None:
        """Stop showing a partition that is another worker's now."""
        self.lags.pop(partition, None)
        metrics.forget(partition)
