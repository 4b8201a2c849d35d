"""Errors of Kafka that starting again does not cure, and what to do about each."""

import asyncio
import time
from typing import Final

from aiokafka import errors
from aiokafka.admin import AIOKafkaAdminClient

from streamer.errors import RefusedError
from streamer.kafka.aiokafka_internals import InvalidRecordError
from streamer.kafka.client import flatten_causes
from streamer.kafka.topics import read_config
from streamer.settings import Settings

ANSWER_S: Final = 5.0
"""How long the group may take to tell its members."""

UUID_LENGTH: Final = 36

TRY_AGAIN_S: Final = 60.0
"""How often output is tried again that was refused for another reason than its size."""

REFUSALS: Final = (
    errors.MessageSizeTooLargeError,
    errors.InvalidTimestampError,
    InvalidRecordError,
)
"""What a broker says when it does not take a record."""


class InstanceTakenError(errors.KafkaError):  # type: ignore[misc]
    """Another worker has joined the group with our `instance_id`."""


ADVICE: Final = {
    "InvalidSessionTimeoutError": "does not accept session_timeout_s = {session_timeout_s:g}: set "
    "one between the brokers' group.min.session.timeout.ms (6 s unless configured) and "
    "group.max.session.timeout.ms (30 minutes)",
    "InconsistentGroupProtocolError": "does not let this worker join the group {group_id}: another "
    "kind of program is a member of it. Choose another group_id",
    "InvalidGroupIdError": "does not accept group_id = {group_id!r}: choose another name",
    "GroupAuthorizationFailedError": "does not allow this user to use the group {group_id}: it "
    "needs Read on the group",
    "TopicAuthorizationFailedError": "does not allow this user to use a topic: it needs Read on "
    "{readings_topic}, Read and Write on {events_topic}, and Write on {segments_topic}, "
    "{current_topic} and {dlq_topic}",
    "TransactionalIdAuthorizationFailed": "does not allow this user to write transactions: it "
    "needs Write on the transactional ids {group_id}-{readings_topic}-*",
    "ClusterAuthorizationFailedError": "does not allow this user to write: it needs "
    "IdempotentWrite on the cluster",
    "GroupFullError": "does not let this worker join the group {group_id}: it has as many members "
    "as group.max.size of the brokers allows. End some of its workers, or raise the limit",
    "InvalidTransactionTimeout": "does not accept transactions of a minute: set "
    "transaction.max.timeout.ms in the brokers' server.properties to at least 60000 (15 minutes "
    "unless configured)",
    "OffsetMetadataTooLargeError": "does not accept the position of the group: set "
    "offset.metadata.max.bytes in the brokers' server.properties to at least 4096 (the value "
    "unless configured)",
    "InstanceTakenError": "says that another worker has joined the group {group_id} with "
    "instance_id = {instance_id!r}, so this one ends: give every worker an instance_id of its "
    "own, and with --workers every machine",
    "UnsupportedVersionError": "is too old for this program: it needs Kafka 2.1 or later",
    "IncompatibleBrokerVersion": "is too old for this program: it needs Kafka 2.1 or later",
    "SaslAuthenticationFailed": "does not accept the login: check sasl_username and sasl_password",
    "AuthenticationFailedError": "does not accept the login: check sasl_username and sasl_password",
    "UnsupportedSaslMechanismError": "does not know sasl_mechanism = {sasl_mechanism}",
}
"""What Kafka says with an error, and what to do, by the error's name in aiokafka."""


async def is_instance_taken(admin: AIOKafkaAdminClient, settings: Settings, member_id: str) -> bool:
    """Return whether another worker has become the group's member with our `instance_id`.

    Args:
        admin: asks the group. If it does not answer, the answer is False.
        settings: those of the worker.
        member_id: what the group called this worker; empty before it has joined.
    """
    if settings.instance_id is None or not member_id:
        return False
    try:
        async with asyncio.timeout(ANSWER_S):
            [answer] = await admin.describe_consumer_groups([settings.group_id])
    except (errors.KafkaError, TimeoutError):
        return False
    [group] = answer.to_object()["groups"]
    # The brokers make the id of a static member of its `instance_id` and a UUID.
    holders = [
        each["member_id"]
        for each in group["members"]
        if each["member_id"][:-UUID_LENGTH] == f"{settings.instance_id}-"
    ]
    return bool(holders) and member_id not in holders


class RefusedOutputError(errors.KafkaError):  # type: ignore[misc]
    """A topic does not take our output.

    Attributes:
        topic: which one.
        reason: what the broker says.
    """

    def __init__(self, topic: str, reason: errors.KafkaError) -> None:
        super().__init__(f"{topic} does not take the output: {reason!r}")
        self.topic, self.reason = topic, reason

    def advise(self, name: str, settings: Settings) -> str:
        """Say what has happened to the output of a partition, and what an operator can do."""
        alter = (
            f"kafka-configs.sh --bootstrap-server {settings.bootstrap_servers} --alter --topic "
            f"{self.topic} --add-config"
        )
        if isinstance(self.reason, errors.MessageSizeTooLargeError):
            return (
                f"the output of {name} is larger than {self.topic} accepts, so nothing more of it "
                "can be published: raise its max.message.bytes (`streamer topics check` says how "
                "far, for dead letters); the worker then continues within seconds, and without the "
                "permission DescribeConfigs when it is started again"
            )
        again = f"the worker then continues within {TRY_AGAIN_S:g} s"
        if isinstance(self.reason, errors.InvalidTimestampError):
            return (
                f"{self.topic} does not accept the time of the output of {name}: the clock of this "
                "machine or of the broker is wrong, or message.timestamp.before.max.ms or "
                "message.timestamp.after.max.ms of the topic is too small. Correct them, or have "
                f"the broker set the time: {alter} message.timestamp.type=LogAppendTime; {again}"
            )
        return (
            f"{self.topic} does not accept a record of the output of {name} ({self.reason!r}); the "
            "log of the broker says why. If the topic is compacted, it takes no record without a "
            f"key: {alter} cleanup.policy=delete; {again}"
        )

    async def read_causes(self, admin: AIOKafkaAdminClient) -> object:
        """Return what may mend this when it changes."""
        config = await read_config(admin, self.topic)
        if isinstance(self.reason, errors.MessageSizeTooLargeError):
            return config
        return config, int(time.monotonic() // TRY_AGAIN_S)


def explain_fatal(error: Exception, settings: Settings) -> RefusedError | None:
    """Return the error to end the worker with; None if starting again may help."""
    for cause in flatten_causes(error):
        if advice := ADVICE.get(_name(cause)):
            said = advice.format(**dict(settings))
            return RefusedError(f"Kafka at {settings.bootstrap_servers} {said} ({cause!r})")
    return None


def _name(error: BaseException) -> str:
    """Return the name of an error of Kafka.

    aiokafka hands on what it does not expect as the text of a general error.
    """
    if type(error) is errors.KafkaError:
        return next((name for name in ADVICE if name in str(error)), "")
    return type(error).__name__
