"""What each kind of program must be allowed to do on a cluster that denies everything else."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from streamer.settings import Settings


@dataclass(frozen=True, slots=True)
class Permission:
    """One ACL, without the user to whom it is given."""

    kind: str
    """Of the resource: `topic`, `group`, `transactional-id` or `cluster`."""
    name: str
    operation: str
    prefixed: bool = False
    """Whether all resources are meant whose names begin with this name."""

    def as_arguments(self, principal: str) -> list[str]:
        """Return the arguments with which `kafka-acls.sh` adds this ACL."""
        resource = ["--cluster"] if self.kind == "cluster" else [f"--{self.kind}", self.name]
        pattern = ["--resource-pattern-type", "prefixed"] if self.prefixed else []
        allow = ["--allow-principal", principal, "--operation", self.operation]
        return ["--add", *allow, *resource, *pattern]


def _worker(settings: Settings) -> list[Permission]:
    return [
        Permission("topic", settings.readings_topic, "Read"),
        Permission("group", settings.group_id, "Read"),
        # A recovery continues from the last events.
        Permission("topic", settings.events_topic, "Read"),
        *(Permission("topic", name, "Write") for name in settings.output_topics),
        *(Permission("topic", name, "Write") for name in settings.shadow_topics),
        Permission(
            "transactional-id", f"{settings.group_id}-{settings.readings_topic}-", "Write", True
        ),
    ]


def _create(settings: Settings) -> list[Permission]:
    topics = [
        settings.readings_topic,
        *settings.output_topics,
        *settings.shadow_topics,
        settings.labels_topic,
    ]
    return [
        *(Permission("topic", name, "Create") for name in topics),
        *(Permission("topic", name, "Describe") for name in topics),
        *(Permission("topic", name, "DescribeConfigs") for name in topics),
        Permission("cluster", "kafka-cluster", "DescribeConfigs"),
    ]


def _device(settings: Settings) -> list[Permission]:
    return [Permission("topic", settings.readings_topic, "Write")]


def _gateway(settings: Settings) -> list[Permission]:
    seen = [name for name in settings.output_topics if name != settings.events_topic]
    return [
        *_device(settings),
        *_feedback(settings),
        Permission("topic", settings.readings_topic, "Read"),
        Permission("topic", settings.events_topic, "Read"),
        # It waits for the topics of the workers, and shows how far the workers are behind.
        *(Permission("topic", name, "Describe") for name in seen),
        Permission("group", settings.group_id, "Describe"),
    ]


def _consumer(settings: Settings) -> list[Permission]:
    return [Permission("topic", settings.events_topic, "Read")]


def _report(settings: Settings) -> list[Permission]:
    names = (settings.events_topic, settings.segments_topic, settings.current_topic)
    return [Permission("topic", name, "Read") for name in names if name]


def _explain(settings: Settings) -> list[Permission]:
    names = (settings.readings_topic, settings.events_topic, settings.dlq_topic)
    return [
        *(Permission("topic", name, "Read") for name in names),
        # Tells a window that the workers have not come to from one that they have left out.
        Permission("group", settings.group_id, "Describe"),
    ]


def _dead_letters(settings: Settings) -> list[Permission]:
    return [Permission("topic", settings.dlq_topic, "Read")]


def _replay(settings: Settings) -> list[Permission]:
    return [
        *_dead_letters(settings),
        Permission("topic", settings.dlq_topic, "Write"),
        Permission("topic", settings.readings_topic, "Write"),
        Permission("transactional-id", f"{settings.dlq_topic}-replay", "Write"),
    ]


def _predict(settings: Settings) -> list[Permission]:
    return [
        *_dead_letters(settings),
        Permission("topic", settings.dlq_topic, "Write"),
        Permission("topic", settings.events_topic, "Write"),
        Permission("transactional-id", f"{settings.dlq_topic}-replay", "Write"),
    ]


def _feedback(settings: Settings) -> list[Permission]:
    return [Permission("topic", settings.labels_topic, "Write")]


def _learner(settings: Settings) -> list[Permission]:
    return [Permission("topic", settings.labels_topic, "Read")]


ROLES: Final[dict[str, Callable[[Settings], Sequence[Permission]]]] = {
    "worker": _worker,
    "topics": _create,
    "device": _device,
    "gateway": _gateway,
    "consumer": _consumer,
    "report": _report,
    "feedback": _feedback,
    "model-update": _learner,
    "explain": _explain,
    "dlq": _dead_letters,
    "dlq-replay": _replay,
    "dlq-predict": _predict,
}
"""Permissions by the program that needs them.

`streamer skip` has those of a worker, `streamer watch` and `evaluate` those of a consumer.
"""


def needed(role: str, settings: Settings) -> Sequence[Permission]:
    """Return the permissions of one of `ROLES`; not one of them can be left out."""
    return ROLES[role](settings)
