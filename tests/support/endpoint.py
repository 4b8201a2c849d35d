"""A prediction server in the process, and the AWS SDK pointed at it."""

import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager

import aiohttp
import msgspec
import numpy as np
import pytest

from streamer.arrays import Floats
from streamer.prediction_server.endpoint_faults import EndpointFault
from streamer.prediction_server.served_model import load_served_model
from streamer.prediction_server.server import open_server
from streamer.settings import Settings

Serve = Callable[..., AbstractAsyncContextManager[str]]


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch) -> Serve:
    """Starts servers of the shipped model, with faults."""
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "nobody")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "nothing")

    @contextlib.asynccontextmanager
    async def start(*faults: str, port: int = 0) -> AsyncIterator[str]:
        served = load_served_model(None, Settings().activities)
        parsed = [EndpointFault.parse(fault) for fault in faults]
        async with open_server(served, "127.0.0.1", port, parsed) as address:
            monkeypatch.setenv("AWS_ENDPOINT_URL", address)
            yield address

    return start


@pytest.fixture(scope="session")
def features() -> Floats:
    return np.random.default_rng(1).uniform(-1, 1, (150, 561))


async def set_faults(address: str, *faults: str) -> None:
    """Replace the faults of a running server."""
    body = msgspec.json.encode(faults)
    async with (
        aiohttp.ClientSession() as session,
        session.put(f"{address}/faults", data=body) as answer,
    ):
        assert answer.status == 200, await answer.text()
