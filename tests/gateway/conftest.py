"""Settings of gateways in these tests, and a gateway that the tests of a module share."""

import uuid
from collections.abc import AsyncIterator
from typing import Any, Protocol

import pytest
import pytest_asyncio

from streamer.localkafka.broker import LocalKafka
from streamer.settings import GatewaySettings
from tests.support.gateway import RunningGateway, running_gateway


class MakeGatewaySettings(Protocol):
    """Makes settings; keyword arguments replace what the fixture chose."""

    def __call__(self, **overrides: Any) -> GatewaySettings: ...


def gateway_settings(kafka: LocalKafka, **overrides: Any) -> GatewaySettings:
    """Topics of their own on the session's broker."""
    unique = uuid.uuid4().hex[:8]
    chosen = {
        "bootstrap_servers": kafka.bootstrap_servers,
        "readings_topic": f"readings-{unique}",
        "events_topic": f"events-{unique}",
        "segments_topic": f"segments-{unique}",
        "current_topic": f"current-{unique}",
        "dlq_topic": f"dlq-{unique}",
        "labels_topic": f"labels-{unique}",
        "gateway_port": 0,
        "partitions": 3,
    }
    return GatewaySettings.load(chosen | overrides, None)


@pytest.fixture
def make_gateway_settings(kafka: LocalKafka) -> MakeGatewaySettings:
    """Topics of this test's own on the session's broker; each call makes other ones."""

    def make(**overrides: Any) -> GatewaySettings:
        return gateway_settings(kafka, **overrides)

    return make


@pytest_asyncio.fixture(scope="module")
async def gateway(kafka: LocalKafka) -> AsyncIterator[RunningGateway]:
    """A gateway with small limits that the tests of a module share."""
    settings = gateway_settings(kafka, gateway_max_body_bytes=200_000, gateway_max_readings=50)
    async with running_gateway(settings) as running:
        yield running
