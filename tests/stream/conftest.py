"""Every test of windows is one of both ways to find them, compiled and with NumPy."""

from collections.abc import Iterator
from unittest.mock import patch

import pytest

from streamer.stream.landing import Landing
from streamer.stream.landing_compiled import CompiledLanding


@pytest.fixture(scope="module", params=[CompiledLanding, Landing], autouse=True)
def _landing(request: pytest.FixtureRequest) -> Iterator[None]:
    with patch("streamer.stream.partition.LANDING", request.param):
        yield
