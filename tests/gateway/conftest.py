"""Settings of gateways in these tests: topics of their own on the session's broker."""

from typing import Any, Protocol

import pytest

from streamer.settings import GatewaySettings
from tests.conftest import MakeSettings


class MakeGatewaySettings(Protocol):
    """Makes settings; keyword arguments replace what the fixture chose."""

    def __call__(self, **overrides: Any) -> GatewaySettings: ...


@pytest.fixture
def make_gateway_settings(make_settings: MakeSettings) -> MakeGatewaySettings:
    """Like `make_settings`, with the settings of the gateway."""

    def make(**overrides: Any) -> GatewaySettings:
        base = make_settings()
        chosen = {name: getattr(base, name) for name in base.model_fields_set}
        return GatewaySettings.load({**chosen, "gateway_port": 0, "partitions": 3, **overrides})

    return make
