"""Gives users what they need on a cluster that denies everything else."""

from collections.abc import Sequence
from functools import partial
from typing import Final

from aiokafka.protocol.admin import CreateAclsRequest

from streamer.errors import KafkaError
from streamer.kafka.aiokafka_internals import create_acl
from streamer.kafka.client import ask
from streamer.kafka.permissions import Permission
from streamer.kafka.topics import admin_client
from streamer.settings import Settings

# Numbers of Kafka's protocol.
_KINDS: Final = {"topic": 2, "group": 3, "cluster": 4, "transactional-id": 5}
_OPERATIONS: Final = {"Read": 3, "Write": 4, "Create": 5, "Describe": 8, "DescribeConfigs": 10}
_LITERAL, _PREFIXED = 3, 4
_ALLOW: Final = 3
_ADVICE: Final = {
    31: "does not let this user change ACLs: it needs Alter on the cluster",
    54: "has no ACLs: everybody may do everything. Set authorizer.class.name of the brokers first",
}
"""What an error means, by its number."""


async def grant(
    settings: Settings, permissions: Sequence[Permission], principal: str, patience_s: float
) -> None:
    """Add an ACL for each permission; those that exist already stay.

    Args:
        settings: the connection of a user who may change the cluster.
        permissions: what to allow.
        principal: to whom, such as `User:worker`.
        patience_s: how long to try when no broker answers.

    Raises:
        KafkaError: the brokers have no ACLs, do not let this user change them, or do not answer.
    """
    async with admin_client(settings, patience_s) as admin:
        for permission in permissions:
            request = CreateAclsRequest(
                _KINDS[permission.kind],
                permission.name,
                _PREFIXED if permission.prefixed else _LITERAL,
                principal,
                "*",
                _OPERATIONS[permission.operation],
                _ALLOW,
            )
            code, said = await ask(partial(create_acl, admin, request))
            if code:
                advice = _ADVICE.get(code, f"does not add an ACL: {said}")
                raise KafkaError(f"Kafka at {settings.bootstrap_servers} {advice}")
