"""Creates the topics, and describes those that exist."""

import asyncio
import difflib
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial

from aiokafka import errors
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from streamer.errors import KafkaError, TopicError
from streamer.kafka.client import ask, client_options, connect, explain_unreachable
from streamer.kafka.topic_rules import Cluster, Finding, Topic, findings
from streamer.settings import TOPIC_SETTINGS, Settings

_DAY_MS = 24 * 3600 * 1000
_POLL_S = 0.05
_APPEAR_S = 30.0
"""How long a topic that was created may take until the brokers know it."""

# The broker's clock and not the producers': retention and the partition clock go by it, and workers
# on a machine whose clock is wrong can write.
_ALL = {"message.timestamp.type": "LogAppendTime", "cleanup.policy": "delete"}
_READINGS = _ALL | {"retention.ms": str(7 * _DAY_MS)}
_EVENTS = _ALL | {"retention.ms": str(30 * _DAY_MS)}
_SEGMENTS = _ALL | {"retention.ms": str(365 * _DAY_MS)}
# What models learn from must not age.
_LABELS = _ALL | {"retention.ms": "-1"}
_CURRENT = _ALL | {"cleanup.policy": "compact"}
# A dead letter is a reading of any size that was accepted, and its headers.
_LETTERS = _EVENTS | {"max.message.bytes": str(2 * 1024 * 1024)}


async def ensure(settings: Settings, patience_s: float | None = None) -> list[str]:
    """Create those of the topics that are missing. Several processes may do so at once.

    The topics to which workers write get as many partitions as the readings have.

    Args:
        settings: names, partitions and replicas of the topics.
        patience_s: how long to try when no broker answers; None without end.

    Returns:
        The names of those that were created.

    Raises:
        TopicError: Kafka refuses to create one.
        KafkaError: no broker answered in time.
    """
    readings = settings.readings_topic
    created = []
    async with admin_client(settings, patience_s) as admin:
        counts = await partition_counts(admin)
        # This one first: whoever creates it, with whatever number of partitions, decides.
        if readings not in counts:
            created += await _create(admin, settings, readings, settings.partitions, _READINGS)
            counts = await partition_counts(admin, readings)
        configs = {
            settings.segments_topic: _SEGMENTS,
            settings.current_topic: _CURRENT,
            settings.dlq_topic: _LETTERS,
        }
        for name in (*settings.output_topics, *settings.shadow_topics):
            if name not in counts:
                config = configs.get(name, _EVENTS)
                created += await _create(admin, settings, name, counts[readings], config)
        await partition_counts(admin, readings, *settings.output_topics)
    return created


async def ensure_readings(settings: Settings, patience_s: float | None = None) -> None:
    """Make sure that the topic of readings exists; a publisher needs no other.

    Raises:
        TopicError: it does not, and must not or cannot be created.
        KafkaError: no broker answered in time.
    """
    name = settings.readings_topic
    async with admin_client(settings, patience_s) as admin:
        if name in await partition_counts(admin):
            return
    if not settings.create_topics:
        raise TopicError(
            f"readings_topic: {describe_missing(name, settings)}; "
            "`streamer topics create` creates it"
        )
    await ensure(settings, patience_s)


def describe_missing(topic: str, settings: Settings) -> str:
    """Return what is said of a topic that brokers do not name: they hide what is forbidden."""
    return (
        f"there is no topic {topic} at {settings.bootstrap_servers}, or this user may not use it "
        "(`streamer topics permissions` prints what a user needs)"
    )


async def ensure_labels(settings: Settings, patience_s: float | None = None) -> list[str]:
    """Create the topic of labels if it is missing, with as many partitions as the readings have.

    Returns:
        Its name if it was created.

    Raises:
        TopicError: it is missing and must not be created, or Kafka refuses to create it.
        KafkaError: no broker answered in time.
    """
    name = settings.labels_topic
    async with admin_client(settings, patience_s) as admin:
        counts = await partition_counts(admin)
        if name in counts:
            return []
        if not settings.create_topics:
            raise TopicError(
                f"labels_topic: {describe_missing(name, settings)}; "
                "`streamer topics create` creates it"
            )
        partitions = counts.get(settings.readings_topic, settings.partitions)
        created = await _create(admin, settings, name, partitions, _LABELS)
        await partition_counts(admin, name)
    return created


async def largest_reading(settings: Settings, patience_s: float | None = None) -> int:
    """Return the size of the largest batch of records that the topic of readings takes, in bytes.

    Raises:
        KafkaError: no broker answered in time, or it does not let us look.
    """
    async with admin_client(settings, patience_s) as admin:
        config = await ask(
            partial(_config, admin, ConfigResourceType.TOPIC, settings.readings_topic)
        )
    return int(config["max.message.bytes"])


async def read_config(admin: AIOKafkaAdminClient, topic: str) -> dict[str, str] | None:
    """Return the configuration of a topic; None if the brokers do not let us look.

    Raises:
        KafkaError: of aiokafka, if no broker answers.
    """
    try:
        return await ask(partial(_config, admin, ConfigResourceType.TOPIC, topic))
    except errors.TopicAuthorizationFailedError:
        return None


async def require(settings: Settings, patience_s: float | None = None) -> None:
    """Make sure that the topics exist.

    Raises:
        TopicError: one does not; with the names of topics that are called nearly so.
        KafkaError: no broker answered in time.
    """
    async with admin_client(settings, patience_s) as admin:
        there = await partition_counts(admin)
    for setting in TOPIC_SETTINGS:
        name = getattr(settings, setting)
        if name and name not in there:
            close = difflib.get_close_matches(name, there, n=1)
            meant = f"; is {close[0]} meant?" if close else ";"
            raise TopicError(
                f"{setting}: {describe_missing(name, settings)}{meant} "
                "`streamer topics create` creates it, and so does a worker with --create-topics"
            )


async def check(settings: Settings, patience_s: float | None = None) -> list[Finding]:
    """Return everything about the topics that would lose data or that operators may not expect.

    Args:
        settings: names of the topics, and what they are needed for.
        patience_s: how long to try when no broker answers; None without end.

    Raises:
        KafkaError: no broker answered in time, or it does not let us look.
    """
    async with admin_client(settings, patience_s) as admin:
        return findings(settings, await _describe(admin, settings))


async def _describe(admin: AIOKafkaAdminClient, settings: Settings) -> Cluster:
    described = {topic["topic"]: topic for topic in await ask(admin.describe_topics)}
    names = {settings.readings_topic, *settings.output_topics} & set(described)
    brokers = [broker["node_id"] for broker in (await ask(admin.describe_cluster))["brokers"]]
    topics = {}
    for name in names:
        partitions = described[name]["partitions"]
        replicas = min(len(partition["replicas"]) for partition in partitions)
        config = await ask(partial(_config, admin, ConfigResourceType.TOPIC, name))
        topics[name] = Topic(len(partitions), replicas, config)
    return Cluster(
        brokers=len(brokers),
        config=await _broker_config(admin, brokers),
        topics=topics,
        internal=frozenset(name for name, topic in described.items() if topic["is_internal"]),
    )


async def _broker_config(admin: AIOKafkaAdminClient, brokers: Sequence[int]) -> dict[str, str]:
    """Return the configuration of the first broker that answers."""
    for broker in brokers[:-1]:
        try:
            return await _config(admin, ConfigResourceType.BROKER, str(broker))
        except (errors.NodeNotReadyError, errors.KafkaConnectionError):
            continue
    return await _config(admin, ConfigResourceType.BROKER, str(brokers[-1]))


async def _config(
    admin: AIOKafkaAdminClient, kind: ConfigResourceType, name: str
) -> dict[str, str]:
    (response,) = await admin.describe_configs([ConfigResource(kind, name)])
    ((code, message, _kind, _name, entries),) = response.resources
    if code:
        raise errors.for_code(code)(f"the configuration of {name}: {message}")
    return {key: value for key, value, *_ in entries}


async def partition_counts(admin: AIOKafkaAdminClient, *awaited: str) -> dict[str, int]:
    """Return the partitions of every topic, once the broker knows those that are awaited.

    Raises:
        TopicError: a topic that is awaited does not appear, so this user may not see it.
    """
    deadline_s = time.monotonic() + _APPEAR_S
    while True:
        # Asking for them by name would create them, where brokers do that.
        described = await ask(admin.describe_topics)
        counts = {topic["topic"]: len(topic["partitions"]) for topic in described}
        if counts.keys() >= set(awaited):
            return counts
        if time.monotonic() > deadline_s:
            hidden = ", ".join(sorted(set(awaited) - counts.keys()))
            raise TopicError(
                f"the brokers do not show {hidden}, though it exists or was created: this user "
                "needs Describe, Read or Write on it"
            )
        await asyncio.sleep(_POLL_S)


async def _create(
    admin: AIOKafkaAdminClient,
    settings: Settings,
    name: str,
    partitions: int,
    config: dict[str, str],
) -> list[str]:
    """Create a topic; return its name, or nothing if somebody else has just created it."""
    replicas = settings.replication_factor
    # With the broker's default aiokafka wants an assignment too, if only an empty one.
    assignments: dict[int, list[int]] | None = {} if replicas == -1 else None
    topic = NewTopic(name, partitions, replicas, assignments, config)
    response = await ask(lambda: admin.create_topics([topic]))
    ((_name, code, message),) = response.topic_errors
    if code == errors.TopicAlreadyExistsError.errno:
        return []
    if code:
        reason = message or errors.for_code(code).__name__
        raise TopicError(
            f"Kafka at {settings.bootstrap_servers} does not create the topic {name}: {reason}"
        )
    return [name]


@asynccontextmanager
async def admin_client(
    settings: Settings, patience_s: float | None
) -> AsyncIterator[AIOKafkaAdminClient]:
    """Open a client that can look at topics and create them.

    Raises:
        KafkaError: no broker answered in time, or it refuses what it is asked.
    """
    try:
        async with connect(
            lambda: AIOKafkaAdminClient(**client_options(settings)), patience_s
        ) as admin:
            try:
                yield admin
            except errors.KafkaError as error:
                raise KafkaError(
                    f"asked about topics, Kafka at {settings.bootstrap_servers} says: {error!r}"
                    f"{await explain_unreachable(admin)}"
                ) from error
    except errors.KafkaError as error:
        raise KafkaError(
            f"asked about topics, Kafka at {settings.bootstrap_servers} says: {error!r}"
        ) from error
