"""The life cycle of Amazon ML on this machine: our server, and moto's S3 for its objects."""

import asyncio
import contextlib
import csv
import gzip
import io
import logging
import time
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import pytest
import structlog

from streamer.prediction_server.served_model import load_served_model
from streamer.prediction_server.server import open_server
from streamer.settings import Settings
from tests.support.s3_server import BUCKET, S3Server

T = TypeVar("T")
PATIENCE_S = 240.0


class AmazonML:
    """A server with its S3, and the client of the SDK."""

    def __init__(self, s3: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
        self.s3 = s3
        self._monkeypatch = monkeypatch

    @contextlib.asynccontextmanager
    async def running(self, state: Path | None = None) -> AsyncIterator[str]:
        # The commands print to the same standard output.
        structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
        served = load_served_model(None, Settings().activities)
        async with open_server(served, "127.0.0.1", 0, [], state) as address:
            self._monkeypatch.setenv("AWS_ENDPOINT_URL", address)
            yield address

    async def do(self, work: Callable[[Any], T], state: Path | None = None) -> T:
        """Start the server, and give a client of the SDK to a function in a thread."""
        async with self.running(state):
            return await asyncio.to_thread(lambda: work(client()))

    def put(self, key: str, lines: Sequence[str] | bytes) -> str:
        body = lines if isinstance(lines, bytes) else "\n".join([*lines, ""]).encode()
        self.s3.client().put_object(Bucket=BUCKET, Key=key, Body=body)
        return f"s3://{BUCKET}/{key}"

    def get(self, url: str) -> bytes:
        key = url.removeprefix(f"s3://{BUCKET}/")
        content: bytes = self.s3.client().get_object(Bucket=BUCKET, Key=key)["Body"].read()
        return content

    def results(self, output: str, batch: str) -> dict[str, list[list[str]]]:
        """Return the lines of results of each input file of a batch prediction."""
        manifest = msgspec.json.decode(self.get(f"{output}/batch-prediction/{batch}.manifest"))
        return {
            source: list(csv.reader(io.StringIO(gzip.decompress(self.get(url)).decode())))
            for source, url in manifest.items()
        }


@pytest.fixture
def amazon_ml(s3: S3Server, monkeypatch: pytest.MonkeyPatch) -> AmazonML:
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", s3.url)
    return AmazonML(s3, monkeypatch)


def client() -> Any:
    import boto3
    from botocore.config import Config

    return boto3.client("machinelearning", config=Config(retries={"total_max_attempts": 1}))


def wait(get: Callable[..., dict[str, Any]], **id_of: str) -> dict[str, Any]:
    """Ask until an entity has ended."""
    deadline = time.monotonic() + PATIENCE_S
    while (answer := get(**id_of))["Status"] in {"PENDING", "INPROGRESS"}:
        assert time.monotonic() < deadline, answer
        # The server is in this process: questions take time from its jobs.
        time.sleep(0.1)
    return answer


def schema(types: dict[str, str], **more: Any) -> str:
    attributes = [{"fieldName": name, "fieldType": kind} for name, kind in types.items()]
    described = {"version": "1.0", "dataFormat": "CSV", "attributes": attributes} | more
    return msgspec.json.encode(described).decode()
