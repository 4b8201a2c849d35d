"""The rules that topics must follow so that nothing is lost; without any I/O."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from streamer.features.window_shape import WINDOW
from streamer.settings import Settings

TRANSACTION_MS = 60_000
"""How long Kafka lets a transaction of a worker stay open: the default of aiokafka."""

METADATA_BYTES = 4096
"""How large the metadata of a position may become: the default of the brokers."""

LEAST_MARGIN_S = 600.0
"""How much longer than recovery needs readings must stay: a worker is down for that long."""

_BUSY_PARTITION = 10_000_000
"""Bytes per second that a partition may well take in."""

_LETTER_OVERHEAD = 16 * 1024
"""Bytes that a dead letter's headers add to the reading, at most."""


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic as the brokers describe it."""

    partitions: int
    replicas: int
    config: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Cluster:
    """Brokers in service, the configuration of one of them, and every topic's name."""

    brokers: int
    config: Mapping[str, str]
    topics: Mapping[str, Topic]
    """Those that the settings name, if they exist."""
    internal: frozenset[str]
    """Names of the topics that Kafka has made for itself."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is wrong with a topic."""

    topic: str
    severity: Literal["error", "warning"]
    """With an error data are lost or the worker cannot work."""
    problem: str
    remedy: str


def recovery_s(settings: Settings) -> float:
    """Return how far back a worker may have to read when it starts again, in seconds."""
    filters_us = 2 * WINDOW.epoch_hops * WINDOW.hop_us
    rules = settings.rules
    return (filters_us + WINDOW.length_us + rules.lateness_us + rules.idle_us) / 1e6


def findings(settings: Settings, cluster: Cluster) -> list[Finding]:
    """Return everything that is wrong, topic by topic."""
    found = [*_internal(settings, cluster), *_limits(settings, cluster)]
    for name in (settings.readings_topic, *settings.output_topics):
        if name in cluster.topics:
            found += _replication(settings, cluster, name)
        else:
            problem = "it does not exist"
            found.append(Finding(name, "error", problem, "`streamer topics create` makes it"))
    readings = cluster.topics.get(settings.readings_topic)
    if readings:
        found += _clock(settings, readings)
        found += _compaction(settings, readings)
        found += _retention(settings, settings.readings_topic, readings, "readings")
        found += _offset_retention(settings, readings, cluster)
        found += _partitions(settings, readings, cluster)
        found += _letters(settings, readings, cluster)
    found += _output_compaction(settings, cluster)
    events = cluster.topics.get(settings.events_topic)
    if events:
        found += _retention(settings, settings.events_topic, events, "events")
    current = cluster.topics.get(settings.current_topic)
    if current:
        found += _no_compaction(settings, current)
    return found


def _clock(settings: Settings, readings: Topic) -> Iterator[Finding]:
    """The partition clock trusts record timestamps."""
    topic = settings.readings_topic
    if readings.config["message.timestamp.type"] == "LogAppendTime":
        return
    yield Finding(
        topic,
        "warning",
        "message.timestamp.type is CreateTime: the time of its records is what producers say, and "
        "records that are old by it are deleted early",
        _set(settings, topic, "message.timestamp.type=LogAppendTime"),
    )
    ahead_ms = int(readings.config["message.timestamp.after.max.ms"])
    if ahead_ms > settings.max_future_skew_s * 1000:
        limit_ms = round(settings.max_future_skew_s * 1000)
        yield Finding(
            topic,
            "warning",
            f"message.timestamp.after.max.ms is {ahead_ms}: one producer whose clock is wrong can "
            f"make everybody's readings late by more than max_future_skew_s "
            f"({settings.max_future_skew_s:g} s)",
            _set(settings, topic, f"message.timestamp.after.max.ms={limit_ms}"),
        )


def _compaction(settings: Settings, readings: Topic) -> Iterator[Finding]:
    """State is rebuilt from all readings, not from the newest one of each device."""
    topic, policy = settings.readings_topic, readings.config["cleanup.policy"]
    if "compact" in policy:
        yield Finding(
            topic,
            "error",
            f"cleanup.policy is {policy}: of each device only the newest reading stays",
            _set(settings, topic, "cleanup.policy=delete"),
        )


def _output_compaction(settings: Settings, cluster: Cluster) -> Iterator[Finding]:
    """Outputs but the current activities have a history, and dead letters may have no key."""
    no_key = "the dead letter of a record without a key is refused, and its partition is held"
    harm: dict[str, tuple[Literal["error", "warning"], str]] = {
        settings.events_topic: ("warning", "of each device only the newest event stays"),
        settings.segments_topic: ("warning", "of each device only the newest segment stays"),
        settings.dlq_topic: ("error", no_key),
    }
    for name, (severity, loss) in harm.items():
        topic = cluster.topics.get(name)
        if topic and "compact" in (policy := topic.config["cleanup.policy"]):
            problem = f"cleanup.policy is {policy}: {loss}"
            yield Finding(name, severity, problem, _set(settings, name, "cleanup.policy=delete"))


def _no_compaction(settings: Settings, current: Topic) -> Iterator[Finding]:
    """A device may do the same for longer than records are kept."""
    topic, policy = settings.current_topic, current.config["cleanup.policy"]
    if policy != "compact":
        yield Finding(
            topic,
            "warning",
            f"cleanup.policy is {policy}: the current activity of a device is deleted with age, "
            "even if it is still the current one",
            _set(settings, topic, "cleanup.policy=compact"),
        )


def _retention(settings: Settings, name: str, topic: Topic, records: str) -> Iterator[Finding]:
    """What recovery reads must still be there: readings, and the last events of devices."""
    least_s = recovery_s(settings) + LEAST_MARGIN_S
    kept_ms = int(topic.config["retention.ms"])
    if 0 <= kept_ms < least_s * 1000:
        yield Finding(
            name,
            "error",
            f"retention.ms keeps {records} for {kept_ms / 1000:g} s; a worker that starts again "
            f"needs those of {recovery_s(settings):.0f} s, and to be down for "
            f"{LEAST_MARGIN_S / 60:.0f} minutes must be no loss",
            _set(settings, name, f"retention.ms={round(least_s * 1000)}") + " or more",
        )
    kept = int(topic.config["retention.bytes"])
    if 0 <= kept < least_s * _BUSY_PARTITION:
        yield Finding(
            name,
            "warning",
            f"retention.bytes keeps {kept:,} bytes of a partition, whatever their age: with more "
            f"than {kept / least_s:,.0f} bytes/s that is less than the {least_s:.0f} s needed",
            _set(settings, name, "retention.bytes=-1"),
        )


def _offset_retention(settings: Settings, readings: Topic, cluster: Cluster) -> Iterator[Finding]:
    """A group whose offsets are forgotten sooner than the readings processes them all again."""
    offsets_s = 60 * int(cluster.config["offsets.retention.minutes"])
    kept_ms = int(readings.config["retention.ms"])
    if 0 <= kept_ms <= offsets_s * 1000:
        return
    kept = "without end" if kept_ms < 0 else f"for {kept_ms / 3_600_000:g} hours"
    yield Finding(
        settings.readings_topic,
        "warning",
        f"its readings are kept {kept}, and the offsets of a group without members for "
        f"{offsets_s / 3600:g} hours: when all workers have stopped for longer than that, every "
        "reading that is still there is processed again, and its events are published again",
        "raise offsets.retention.minutes in the brokers' server.properties to at least the "
        "retention of the readings",
    )


def _partitions(settings: Settings, readings: Topic, cluster: Cluster) -> Iterator[Finding]:
    """What comes from a partition of readings goes to the partition with the same number."""
    count = readings.partitions
    for name in settings.output_topics:
        topic = cluster.topics.get(name)
        if topic and topic.partitions < count:
            yield Finding(
                name,
                "error",
                f"it has {topic.partitions} partitions and {settings.readings_topic} {count}: what "
                "comes from a partition's readings goes to the same partition of this topic",
                f"kafka-topics.sh --bootstrap-server {settings.bootstrap_servers} --alter "
                f"--topic {name} --partitions {count}",
            )
    if count < settings.partitions:
        yield Finding(
            settings.readings_topic,
            "warning",
            f"it has {count} partitions, the setting says {settings.partitions}: no more than "
            f"{count} workers can share the work",
            "more partitions move devices to other ones: best create new topics and name them",
        )


def _letters(settings: Settings, readings: Topic, cluster: Cluster) -> Iterator[Finding]:
    """The largest reading must fit into a dead letter, or it would stop its partition."""
    topic = settings.dlq_topic
    if topic not in cluster.topics:
        return
    least = int(readings.config["max.message.bytes"]) + _LETTER_OVERHEAD
    largest = int(cluster.topics[topic].config["max.message.bytes"])
    if largest < least:
        yield Finding(
            topic,
            "warning",
            f"max.message.bytes is {largest}: the largest reading that {settings.readings_topic} "
            "takes would not fit as a dead letter, and would stop its partition",
            _set(settings, topic, f"max.message.bytes={least}"),
        )


def _replication(settings: Settings, cluster: Cluster, name: str) -> Iterator[Finding]:
    topic = cluster.topics[name]
    in_sync = int(topic.config["min.insync.replicas"])
    if topic.replicas < in_sync:
        yield Finding(
            name,
            "error",
            f"it has {topic.replicas} replicas and min.insync.replicas is {in_sync}: nothing that "
            "must not be lost can be written",
            _set(settings, name, f"min.insync.replicas={topic.replicas}"),
        )
    if topic.replicas == 1 < cluster.brokers:
        yield Finding(
            name,
            "warning",
            f"it has one replica although there are {cluster.brokers} brokers: while the broker "
            "that has it is down the stream stands still, and if its disk is lost so are the data",
            "kafka-reassign-partitions.sh adds replicas",
        )


def _limits(settings: Settings, cluster: Cluster) -> Iterator[Finding]:
    """Limits of the brokers that an operator may have lowered too far."""
    least = {"offset.metadata.max.bytes": ("__consumer_offsets", METADATA_BYTES)}
    if settings.delivery == "exactly-once":
        least["transaction.max.timeout.ms"] = ("__transaction_state", TRANSACTION_MS)
    for key, (name, needed) in least.items():
        # Brokers of a provider may not show it.
        if (limit := int(cluster.config.get(key, needed))) < needed:
            yield Finding(
                name,
                "error",
                f"the brokers' {key} is {limit}, and workers need {needed}: they would end",
                f"set {key}={needed} or more in the brokers' server.properties",
            )


def _internal(settings: Settings, cluster: Cluster) -> Iterator[Finding]:
    """Kafka creates these topics when they are first needed; if it cannot, clients wait."""
    needed = {"__consumer_offsets": "offsets.topic.replication.factor"}
    if settings.delivery == "exactly-once":
        needed["__transaction_state"] = "transaction.state.log.replication.factor"
    for name, key in needed.items():
        if name not in cluster.internal and int(cluster.config[key]) > cluster.brokers:
            yield Finding(
                name,
                "error",
                f"the brokers' {key} is {cluster.config[key]}, and {cluster.brokers} are there: "
                "Kafka cannot create it, and workers would wait without end",
                f"set {key}={cluster.brokers} in the brokers' server.properties",
            )


def _set(settings: Settings, topic: str, entry: str) -> str:
    return (
        f"kafka-configs.sh --bootstrap-server {settings.bootstrap_servers} --alter "
        f"--topic {topic} --add-config {entry}"
    )
