"""What tests share: a real Kafka for the session, settings for it, the recordings."""

import logging
import os
import signal
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import hypothesis
import pytest
import structlog

from streamer.localkafka.broker import LocalKafka
from streamer.settings import Settings
from streamer.tls import EXPIRES_S

pytest_plugins = [
    # Before those that import it, so that its asserts are rewritten.
    "tests.support.s3_server",
    "tests.support.amazon_ml",
    "tests.support.endpoint",
    "tests.support.models",
    "tests.support.registry",
]

# A loaded machine takes its time, and the first example of a test may compile kernels.
hypothesis.settings.register_profile("no deadline", deadline=None)
hypothesis.settings.load_profile("no deadline")

# Tests interrupt the programs that they start, and a shell has its background jobs ignore SIGINT.
signal.signal(signal.SIGINT, signal.default_int_handler)


class MakeSettings(Protocol):
    """Makes settings; keyword arguments replace what the fixture chose."""

    def __call__(self, **overrides: Any) -> Settings: ...


LONG = ("test_cost.py", "end_to_end")
"""Files and folders of tests that take minutes. They begin first: none is left at the end."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests that need a broker, so that a run can leave them out; long ones go first."""
    for item in items:
        module = vars(getattr(item, "module", None) or object)
        if "kafka" in getattr(item, "fixturenames", ()) or "LocalKafka" in module:
            item.add_marker("kafka")
    items.sort(key=lambda item: not any(part in LONG for part in item.path.parts))


@pytest.fixture(autouse=True)
def restore_logging() -> Iterator[None]:
    """Undo what a command did to logging: what a test sees does not depend on the tests before."""
    root, ours = logging.getLogger(), logging.getLogger("streamer")
    handlers, levels = root.handlers[:], (root.level, ours.level)
    yield
    structlog.reset_defaults()
    root.handlers = handlers
    root.setLevel(levels[0])
    ours.setLevel(levels[1])


@pytest.fixture(autouse=True)
def forget_certificates() -> Iterator[None]:
    """Forget when the certificates of a test expire: metrics of this process would show them."""
    yield
    EXPIRES_S.clear()


@pytest.fixture(scope="session")
def kafka() -> Iterator[LocalKafka]:
    """One broker for all tests, started when the first one asks for it."""
    with LocalKafka() as running:
        yield running


@pytest.fixture
def make_settings(kafka: LocalKafka) -> MakeSettings:
    """Topics and group of this test's own, on the session's broker."""
    unique = uuid.uuid4().hex[:8]

    def make(**overrides: Any) -> Settings:
        chosen = {
            "bootstrap_servers": kafka.bootstrap_servers,
            "readings_topic": f"readings-{unique}",
            "events_topic": f"events-{unique}",
            "segments_topic": f"segments-{unique}",
            "current_topic": f"current-{unique}",
            "dlq_topic": f"dlq-{unique}",
            "labels_topic": f"labels-{unique}",
            "group_id": f"group-{unique}",
            "http_port": 0,
        }
        return Settings.load(chosen | overrides, None)

    return make


@pytest.fixture(scope="session")
def har_dir() -> Path:
    """Folder of the public recordings."""
    if folder := os.environ.get("STREAMER_HAR_DIR"):
        return Path(folder)
    pytest.skip(
        "set STREAMER_HAR_DIR to the unpacked download of the UCI repository's data set "
        "'Smartphone-Based Recognition of Human Activities and Postural Transitions'"
    )


@pytest.fixture(scope="session")
def devices_dir() -> Path:
    """Folder of public recordings of other devices, each in the form of its source."""
    if folder := os.environ.get("STREAMER_DEVICES_DIR"):
        return Path(folder)
    pytest.skip("set STREAMER_DEVICES_DIR to a folder of public recordings, see CONTRIBUTING.md")
