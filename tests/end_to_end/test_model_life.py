"""A model's whole life on real recordings: from a data set to labels, corrections and an update.

The commands are those that a user types. Amazon ML is `streamer endpoint`, S3 is moto's server.
"""

import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from benchmarks.public_recordings import read_pocket
from streamer.contracts.encode import encode
from streamer.contracts.ground_truth import ActivityLabel, encode_label
from streamer.kafka.client import connect
from streamer.kafka.ground_truth import make_label_producer
from streamer.localkafka.broker import LocalKafka, free_ports
from streamer.settings import Settings
from tests.support.processes import CLI, until
from tests.support.s3_server import BUCKET, S3Server

pytest.importorskip("pyarrow")
pytest.importorskip("sklearn")
pytestmark = [pytest.mark.slow, pytest.mark.timeout(1500)]

ARTICLE_F1 = 0.92
"""The average F1 that Amazon ML has reached on the published features, in the founding article."""

DEVICES = "exp0*"
"""The recordings that are replayed as devices."""


class User:
    """Runs commands in a folder of its own, with the environment that its servers need."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self.folder = folder
        self.environment = os.environ | environment

    def start(self, *arguments: str, log: str) -> "subprocess.Popen[bytes]":
        with (self.folder / log).open("wb") as file:
            return subprocess.Popen(
                [*CLI, *arguments],
                stdout=file,
                stderr=subprocess.STDOUT,
                env=self.environment,
                cwd=self.folder,
            )

    def run(self, *arguments: str) -> str:
        """Run a command that must succeed; returns what it prints."""
        done = subprocess.run(
            [*CLI, *arguments],
            capture_output=True,
            text=True,
            check=False,
            env=self.environment,
            cwd=self.folder,
        )
        assert done.returncode == 0, f"{arguments}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def read(self, *arguments: str) -> Any:
        """Run a command that prints JSON."""
        return msgspec.json.decode(self.run(*arguments, "--json"))


@pytest.fixture
def user(kafka: LocalKafka, s3: S3Server, tmp_path: Path) -> Iterator[User]:
    [port] = free_ports(1)
    environment = {
        "AWS_ENDPOINT_URL_S3": s3.url,
        "AWS_ENDPOINT_URL_MACHINE_LEARNING": f"http://127.0.0.1:{port}",
        "STREAMER_BOOTSTRAP_SERVERS": kafka.bootstrap_servers,
        "STREAMER_GROUP_ID": tmp_path.name,
        "STREAMER_HTTP_PORT": "0",
    }
    for topic in ("readings", "events", "segments", "current", "labels", "dlq"):
        environment[f"STREAMER_{topic.upper()}_TOPIC"] = f"{tmp_path.name}-{topic}"
    user = User(tmp_path, environment)
    arguments = ("endpoint", "--port", str(port), "--state", "amazon-ml.sqlite")
    endpoint = user.start(*arguments, log="endpoint.log")
    try:
        until(lambda: "serving predictions" in (tmp_path / "endpoint.log").read_text())
        yield user
    finally:
        endpoint.terminate()
        endpoint.wait()


def test_amazon_ml_learns_the_recordings_and_labels_the_stream_one_by_one_and_in_batches(
    user: User, har_dir: Path
) -> None:
    recordings = str(har_dir / "RawData")
    data = f"s3://{BUCKET}/har"
    user.run("dataset", "convert", recordings, "--output", data, "--with-subject")
    assert "walking" in user.run("dataset", "statistics", recordings).lower()

    # As in the article: the first 70% of the records are for learning.
    user.run("amazon-ml", "create", "mine", "--data", f"{data}/data.csv")
    judged = user.read("amazon-ml", "evaluate", "mine")
    assert judged["MulticlassAvgFScore"] >= ARTICLE_F1
    user.run("amazon-ml", "promote", "mine", "--at-least", str(ARTICLE_F1))

    user.run("replay", recordings, "--only", DEVICES, "--speed", "max", "--batch", "50")
    one_by_one = ("--predictor", "amazon-ml", "--endpoint", "mine")
    user.run("run", "--until-end", *one_by_one)
    labels = ("--labels", str(har_dir / "RawData" / "labels.txt"))
    live = user.read("evaluate", *labels)
    assert live["macro_f1"] >= ARTICLE_F1, live

    in_batches = ("--predictor", "amazon-ml-batch", "--endpoint", "mine")
    user.environment |= {
        f"STREAMER_{name.upper()}": f"{user.folder.name}-batch-{name}"
        for name in ("group_id", "events_topic", "segments_topic", "current_topic", "dlq_topic")
    }
    user.run("run", "--until-end", *in_batches, "--batch-location", f"s3://{BUCKET}/batches")
    assert user.read("evaluate", *labels)["macro_f1"] == pytest.approx(live["macro_f1"], abs=1e-3)


PEOPLE = "hapt/1,hapt/3,hapt/5,hapt/6,hapt/7,hapt/8"
"""People with a phone at the waist, from whom the first model learns."""
POCKET_PEOPLE = 6
"""The first people of MotionSense come later."""


async def test_a_model_learns_from_corrections_while_the_workers_run_and_is_rolled_back(
    user: User, har_dir: Path, devices_dir: Path
) -> None:
    """The first model knows the waist. New people carry another phone in a trouser pocket."""
    learned = ("--source", f"waist={har_dir / 'RawData'},name=hapt", "--users", PEOPLE)
    user.run("model", "train", *learned, "--algorithm", "tree", "--output", "first.npz")
    user.run("model", "promote", "first.npz", "--registry", "registry")
    store = ("--store-features", "features")
    worker = user.start(
        *("run", "--model-registry", "registry", "--model-check-s", "1", "--log-format", "json"),
        *(*store, "--store-interval-s", "1", "--idle-timeout-s", "5"),
        log="worker.log",
    )
    try:
        truths = write_pocket_readings(user.folder / "readings.jsonl")
        user.run("replay", "readings.jsonl")
        [first] = truths[:1]
        times = ("--since", str(first.start), "--until", str(first.end))
        user.run("feedback", "--device", first.device_id, "--activity", first.activity, *times)
        await write_labels(user, truths[1:])
        until(lambda: count_windows(user) > 1000)

        update = ("model", "update", "--registry", "registry", *store, *learned)
        assert "would" in user.run(*update, "--dry-run")
        assert "is current now, in place of" in user.run(*update)
        before, after = user.read("model", "history", "--registry", "registry")["versions"]
        assert after["parent"] == before["id"]
        until(lambda: f"@{after['id']}" in (user.folder / "worker.log").read_text())

        user.run("model", "rollback", "--registry", "registry", "--reason", "to see it")
        log = user.folder / "worker.log"
        until(lambda: f"@{before['id']}" in log.read_text().rpartition(f"@{after['id']}")[2])
    finally:
        worker.terminate()
        assert worker.wait() == 0, (user.folder / "worker.log").read_text()


def write_pocket_readings(file: Path) -> list[ActivityLabel]:
    """Write the recordings of some people as readings; returns what the people have done."""
    at_ms = time.time_ns() // 1_000_000 - 3 * 3_600_000
    next_ms: dict[str, int] = {}
    truths, lines = [], []
    for each in read_pocket():
        activity = each.segments[0].activity
        if int(each.subject.rpartition("/")[2]) > POCKET_PEOPLE or activity == "jogging":
            continue
        device = each.subject.replace("/", "-")
        start = next_ms.setdefault(device, at_ms)
        end = start + 20 * len(each.acc_gyro)
        # A gap: the recordings were not made one after the other.
        next_ms[device] = end + 10_000
        truths.append(
            ActivityLabel(
                device_id=device, start=start, end=end, activity=activity, by="the person"
            )
        )
        for i in range(0, len(each.acc_gyro), 50):
            block = each.acc_gyro[i : i + 50]
            lines.append(encode(device, start + 20 * i, 20, block)[1])
    file.write_bytes(b"\n".join(lines))
    return truths


async def write_labels(user: User, labels: list[ActivityLabel]) -> None:
    """Publish ground truth, as a program of the user's may do it."""
    topic = user.environment["STREAMER_LABELS_TOPIC"]
    servers = user.environment["STREAMER_BOOTSTRAP_SERVERS"]
    settings = Settings.load({"bootstrap_servers": servers, "labels_topic": topic})
    async with connect(lambda: make_label_producer(settings)) as producer:
        for label in labels:
            await producer.send(topic, encode_label(label), label.device_id.encode())
        await producer.flush()


def count_windows(user: User) -> int:
    """Return how many of the stored windows have ground truth."""
    found = user.read("features", "join", "--store-features", "features")
    return sum(row["windows"] for row in found["windows"])
