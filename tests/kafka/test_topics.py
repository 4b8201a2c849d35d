import asyncio
from dataclasses import replace
from typing import Any

import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from streamer.errors import KafkaError, TopicError
from streamer.kafka.client import client_options, connect
from streamer.kafka.grants import grant
from streamer.kafka.permissions import needed
from streamer.kafka.topic_rules import Cluster, Finding, Topic, findings, recovery_s
from streamer.kafka.topics import check, ensure, partition_counts
from streamer.localkafka.broker import free_ports
from streamer.settings import Settings
from tests.conftest import MakeSettings
from tests.support.processes import run

GOOD = {
    "readings": {"message.timestamp.type": "LogAppendTime"},
    "events": {},
    "segments": {},
    "current": {"cleanup.policy": "compact"},
    "dlq": {"max.message.bytes": "2097152"},
}


async def test_missing_topics_are_created_and_pass_the_check(make_settings: MakeSettings) -> None:
    settings = make_settings(partitions=3)
    assert await ensure(settings) == names(settings)
    assert await ensure(settings) == []
    assert await partitions(settings) == [3] * 5
    assert await check(settings) == []


async def test_two_workers_that_create_topics_at_the_same_time_agree(
    make_settings: MakeSettings,
) -> None:
    two, five = make_settings(partitions=2), make_settings(partitions=5)
    by_one, by_other = await asyncio.gather(ensure(two), ensure(five))
    assert sorted(by_one + by_other) == sorted(names(two))
    assert await partitions(two) in ([2] * 5, [5] * 5)


async def test_the_readings_topic_that_exists_decides_the_number_of_partitions(
    make_settings: MakeSettings,
) -> None:
    settings = make_settings(partitions=2)
    await create(settings, readings=(4, {}))
    assert await ensure(settings) == list(settings.output_topics)
    assert await partitions(settings) == [4] * 5


async def test_an_output_topic_without_a_name_is_not_created_and_not_reported(
    make_settings: MakeSettings,
) -> None:
    settings = make_settings(partitions=1, segments_topic="", current_topic="")
    assert await ensure(settings) == names(settings)
    assert len(names(settings)) == 3
    assert await check(settings) == []


async def test_an_error_of_kafka_is_reported_with_its_own_message(
    make_settings: MakeSettings,
) -> None:
    settings = make_settings(replication_factor=3)
    with pytest.raises(TopicError, match=rf"{settings.readings_topic}.*replication factor of 3"):
        await ensure(settings)


async def test_missing_topics_are_errors(make_settings: MakeSettings) -> None:
    settings = make_settings()
    found = await check(settings)
    assert [(each.topic, each.severity) for each in found] == [
        (name, "error") for name in names(settings)
    ]


@pytest.mark.parametrize(
    ("topic", "count", "config", "severity", "problem"),
    [
        ("readings", 2, {"message.timestamp.type": "CreateTime"}, "warning", "is CreateTime"),
        (
            *("readings", 2),
            {"message.timestamp.type": "CreateTime", "message.timestamp.after.max.ms": "300001"},
            *("warning", "after.max.ms is 300001"),
        ),
        ("readings", 2, {"cleanup.policy": "compact"}, "error", "cleanup.policy is compact"),
        ("readings", 2, {"cleanup.policy": "compact,delete"}, "error", "cleanup.policy is compact"),
        ("readings", 2, {"retention.ms": "744000"}, "error", "keeps readings for 744 s"),
        ("readings", 2, {"retention.ms": "-1"}, "warning", "kept without end, and the offsets"),
        ("readings", 2, {"retention.ms": "608400000"}, "warning", "for 169 hours, and the offsets"),
        ("readings", 2, {"retention.bytes": "1000000"}, "warning", "keeps 1,000,000 bytes"),
        ("readings", 2, {"min.insync.replicas": "2"}, "error", "min.insync.replicas is 2"),
        ("events", 1, {}, "error", "has 1 partitions and"),
        ("segments", 1, {}, "error", "has 1 partitions and"),
        ("dlq", 1, {}, "error", "has 1 partitions and"),
        ("current", 2, {"cleanup.policy": "delete"}, "warning", "cleanup.policy is delete"),
        ("dlq", 2, {"max.message.bytes": "1048588"}, "warning", "would not fit"),
        ("dlq", 2, {"cleanup.policy": "compact"}, "error", "without a key is refused"),
        ("events", 2, {"cleanup.policy": "compact"}, "warning", "only the newest event"),
    ],
)
async def test_each_mistake_is_found(
    make_settings: MakeSettings,
    topic: str,
    count: int,
    config: dict[str, str],
    severity: str,
    problem: str,
) -> None:
    settings = make_settings(partitions=2)
    good = {name: (2, configured) for name, configured in GOOD.items()}
    await create(settings, **good | {topic: (count, GOOD[topic] | config)})
    found = [each for each in await check(settings) if problem in each.problem]
    assert [each.severity for each in found] == [severity]
    assert found[0].topic == getattr(settings, f"{topic}_topic")
    assert found[0].remedy


@pytest.mark.parametrize(
    "config",
    [
        {"message.timestamp.type": "CreateTime", "message.timestamp.after.max.ms": "300000"},
        {"retention.ms": "745000"},
        {"retention.ms": "604800000", "retention.bytes": "10000000000"},
    ],
)
async def test_values_at_the_limit_are_not_reported(
    make_settings: MakeSettings, config: dict[str, str]
) -> None:
    settings = make_settings(partitions=2)
    good = {name: (2, configured) for name, configured in GOOD.items()}
    await create(settings, **good | {"readings": (2, GOOD["readings"] | config)})
    found = await check(settings)
    assert [each for each in found if "is CreateTime" not in each.problem] == []


def test_the_retention_needed_covers_filters_windows_lateness_and_idle_timeout() -> None:
    settings = Settings.load({"allowed_lateness_ms": 1000, "idle_timeout_s": 10})
    assert recovery_s(settings) == pytest.approx(81.92 + 2.56 + 1 + 10)


def test_fewer_partitions_than_wanted_are_a_warning() -> None:
    (found,) = problems_of(good_cluster(partitions=2), partitions=4)
    assert (found.severity, found.topic) == ("warning", "sensor-readings")
    assert "no more than 2 workers" in found.problem


def test_one_replica_in_a_cluster_is_a_warning() -> None:
    found = problems_of(replace(good_cluster(), brokers=3))
    assert [each.severity for each in found] == ["warning"] * 5
    assert all("one replica although there are 3 brokers" in each.problem for each in found)


def test_a_topic_that_kafka_cannot_create_is_an_error() -> None:
    fresh = replace(good_cluster(), internal=frozenset())
    assert problems_of(fresh) == []
    broken = {"transaction.state.log.replication.factor": "3"}
    fresh = replace(fresh, config={**fresh.config, **broken})
    (found,) = problems_of(fresh)
    assert (found.severity, found.topic) == ("error", "__transaction_state")
    assert problems_of(fresh, delivery="at-least-once") == []
    assert problems_of(replace(fresh, internal=frozenset({"__transaction_state"}))) == []


@pytest.mark.parametrize(
    ("limit", "topic"),
    [
        ({"transaction.max.timeout.ms": "10000"}, "__transaction_state"),
        ({"offset.metadata.max.bytes": "100"}, "__consumer_offsets"),
    ],
)
def test_limits_of_brokers_with_which_no_worker_could_work_are_errors(
    limit: dict[str, str], topic: str
) -> None:
    cluster = good_cluster()
    (found,) = problems_of(replace(cluster, config={**cluster.config, **limit}))
    assert (found.severity, found.topic) == ("error", topic)
    assert set(limit) <= set(found.remedy.replace("=", " ").split())


async def test_no_broker_is_an_error_after_some_patience(make_settings: MakeSettings) -> None:
    nowhere = f"127.0.0.1:{free_ports(1)[0]}"
    with pytest.raises(KafkaError, match=nowhere):
        await check(make_settings(bootstrap_servers=nowhere), patience_s=0.5)


def test_the_command_creates_and_checks(make_settings: MakeSettings) -> None:
    settings = make_settings()
    flags = [
        *("--bootstrap-servers", settings.bootstrap_servers),
        *("--readings-topic", settings.readings_topic),
        *("--events-topic", settings.events_topic),
        *("--segments-topic", settings.segments_topic),
        *("--current-topic", settings.current_topic),
        *("--dlq-topic", settings.dlq_topic),
    ]
    missing = run("topics", "check", *flags)
    assert missing.returncode == 1
    assert f"error  {settings.readings_topic}: it does not exist\n  remedy: " in missing.stdout
    created = run("topics", "create", *flags, "--labels-topic", settings.labels_topic)
    made = [*names(settings), settings.labels_topic]
    assert created.stdout == "".join(f"created {name}\n" for name in made)
    fine = run("topics", "check", *flags)
    assert (fine.returncode, fine.stdout) == (0, "the topics are fine\n")


def names(settings: Settings) -> list[str]:
    return [settings.readings_topic, *settings.output_topics]


async def partitions(settings: Settings) -> list[int]:
    async with connect(lambda: AIOKafkaAdminClient(**client_options(settings))) as admin:
        counts = await partition_counts(admin)
    return [counts[name] for name in names(settings)]


async def create(settings: Settings, **topics: tuple[int, dict[str, str]]) -> None:
    async with connect(lambda: AIOKafkaAdminClient(**client_options(settings))) as admin:
        new = [
            NewTopic(getattr(settings, f"{name}_topic"), count, 1, topic_configs=config)
            for name, (count, config) in topics.items()
        ]
        created = await admin.create_topics(new)
        assert [code for _, code, _ in created.topic_errors] == [0] * len(topics)
        await partition_counts(admin, *(topic.name for topic in new))


def good_cluster(partitions: int = 8) -> Cluster:
    config = {
        "message.timestamp.type": "LogAppendTime",
        "cleanup.policy": "delete",
        "retention.ms": "604800000",
        "retention.bytes": "-1",
        "min.insync.replicas": "1",
        "max.message.bytes": "1048588",
    }
    letters = config | {"max.message.bytes": "2097152"}
    return Cluster(
        brokers=1,
        config={
            "offsets.topic.replication.factor": "1",
            "offsets.retention.minutes": "10080",
            "transaction.state.log.replication.factor": "1",
            "transaction.max.timeout.ms": "900000",
            "offset.metadata.max.bytes": "4096",
        },
        topics={
            "sensor-readings": Topic(partitions, 1, config),
            "activity-events": Topic(partitions, 1, config),
            "activity-segments": Topic(partitions, 1, config),
            "activity-current": Topic(partitions, 1, config | {"cleanup.policy": "compact"}),
            "sensor-readings.dlq": Topic(partitions, 1, letters),
        },
        internal=frozenset({"__consumer_offsets"}),
    )


def problems_of(cluster: Cluster, **overrides: Any) -> list[Finding]:
    return findings(Settings.load(overrides), cluster)


async def test_permissions_cannot_be_granted_where_nothing_is_denied(
    make_settings: MakeSettings,
) -> None:
    settings = make_settings()
    with pytest.raises(KafkaError, match=f"{settings.bootstrap_servers} has no ACLs"):
        await grant(settings, needed("device", settings), "User:anybody", 60)
