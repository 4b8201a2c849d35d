"""Whether the worker is alive, and whether it is any use."""

from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(slots=True)
class Health:
    """What `/healthz` and `/readyz` answer; the worker keeps it up to date.

    Attributes:
        clock: seconds that only go forwards.
        connected: a broker has answered and the group has been joined.
        recovering: partitions that are not yet built again from the log.
        broken: why partitions are stopped, if something breaks on their records.
        failures: times in a row that the Kafka clients were started again without any progress.
        endpoint_trouble: why the prediction endpoint does not answer; None while it does.
        behind_since: since when there are records and no progress; None while there is some.
    """

    clock: Callable[[], float]
    connected: bool = False
    recovering: set[int] = field(default_factory=set)
    broken: list[str] = field(default_factory=list)
    failures: int = 0
    endpoint_trouble: str | None = None
    behind_since: float | None = None

    patience_s: float = 30.0
    """How long there may be records and no progress."""

    def endpoint(self, trouble: str | None) -> None:
        """Say why the prediction endpoint does not answer; None when it does."""
        self.endpoint_trouble = trouble

    def progress(self) -> None:
        """Records went through, or there are none to go."""
        self.behind_since = None
        self.failures = 0

    def no_progress(self) -> None:
        """There are records, and none went through."""
        if self.behind_since is None:
            self.behind_since = self.clock()

    @property
    def stalled(self) -> bool:
        """Whether patience has run out."""
        return self.behind_since is not None and self.clock() - self.behind_since > self.patience_s

    def trouble(self) -> str | None:
        """What should not be so; None when all is well."""
        if self.broken:
            return f"broken: {' / '.join(self.broken)}"
        if self.endpoint_trouble:
            return self.endpoint_trouble
        if self.stalled:
            restarts = f", clients restarted {self.failures} times" if self.failures else ""
            return (
                f"stalled: there are records, none went through for {self.patience_s:g} s{restarts}"
            )
        return None

    def why_not_ready(self) -> str | None:
        """What is missing; None when ready."""
        if not self.connected:
            return "not connected: no broker has let us join the consumer group"
        if self.recovering:
            partitions = ", ".join(map(str, sorted(self.recovering)))
            return f"recovering: building partitions {partitions} again from the log"
        return self.trouble()
