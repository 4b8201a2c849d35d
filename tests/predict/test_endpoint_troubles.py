"""Endpoints that fail in unusual ways, through the AWS SDK and our own prediction server."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from structlog.testing import capture_logs

from streamer.arrays import Floats
from streamer.metrics import Metrics
from streamer.predict.amazon_ml_client import open_amazon_ml
from streamer.predict.answers import Answers, Ask, Origin
from streamer.predict.endpoint_protocol import (
    InvalidAnswerError,
)
from streamer.predict.factory import open_predictor
from streamer.predict.quotas import SAGEMAKER_ANSWER_BYTES
from streamer.predict.sagemaker_client import open_sagemaker
from streamer.settings import Settings
from tests.support.endpoint import Serve, set_faults

BOTH = pytest.mark.parametrize("predictor", ["amazon-ml", "sagemaker"])


@asynccontextmanager
async def opened(
    predictor: str,
    metrics: Metrics,
    on_trouble: Callable[[str | None], None] = print,
    **flags: Any,
) -> AsyncIterator[Ask]:
    chosen = {"predictor": predictor, "endpoint": "waist", "endpoint_format": "csv"}
    settings = Settings.load(chosen | {"batch_wait_ms": 1} | flags)
    async with open_predictor(settings, metrics, on_trouble) as ask:
        yield ask


def value(metrics: Metrics, name: str, **labels: str) -> float:
    return metrics.registry.get_sample_value(f"streamer_{name}", labels) or 0.0


def calls(metrics: Metrics) -> float:
    return value(metrics, "endpoint_call_seconds_count")


@BOTH
async def test_windows_wait_while_the_endpoint_refuses_everything_and_none_is_given_up(
    serve: Serve, features: Floats, predictor: str
) -> None:
    #   endpoint   | refuses everything ................ | mended
    #   windows    | asked | trouble, with its words ... | answered
    troubles: asyncio.Queue[str | None] = asyncio.Queue()
    async with (
        asyncio.timeout(60),
        serve("refuse") as address,
        opened(predictor, Metrics(), troubles.put_nowait, predict_deadline_s=60) as ask,
    ):
        question = asyncio.ensure_future(ask(features[:3]))
        trouble = await troubles.get()
        assert trouble is not None
        assert "refuses every window" in trouble
        assert "injected fault: refused" in trouble
        assert not question.done()
        await set_faults(address)
        answers = await question
        while await troubles.get() is not None:
            pass
    assert (answers.refused, answers.unavailable) == ({}, [])


@BOTH
async def test_without_hold_windows_are_unavailable_while_everything_is_refused(
    serve: Serve, features: Floats, predictor: str
) -> None:
    flags: dict[str, Any] = {"when_down": "unavailable", "predict_deadline_s": 0.3}
    async with serve("refuse"), opened(predictor, Metrics(), **flags) as ask:
        answers = await ask(features[:3])
    assert (answers.refused, answers.unavailable) == ({}, [0, 1, 2])


@BOTH
async def test_the_fallback_answers_while_everything_is_refused(
    serve: Serve, features: Floats, predictor: str
) -> None:
    flags: dict[str, Any] = {"when_down": "fallback", "predict_deadline_s": 0.3}
    async with serve("refuse"), opened(predictor, Metrics(), **flags) as ask:
        answers = await ask(features[:3])
    assert (answers.refused, answers.unavailable) == ({}, [])
    assert {each.origin for each in answers.scored} == {Origin.FALLBACK}


@BOTH
async def test_a_single_poison_window_is_refused_though_no_other_window_was_ever_answered(
    serve: Serve, features: Floats, predictor: str
) -> None:
    poisoned = features[:1].copy()
    poisoned[0, 3] = np.nan
    async with asyncio.timeout(30), serve(), opened(predictor, Metrics()) as ask:
        answers = await ask(poisoned)
    assert "Var004" in answers.refused[0]


async def test_a_request_that_is_too_large_for_a_proxy_is_halved_until_it_is_accepted(
    serve: Serve, features: Floats
) -> None:
    #   windows in a request   40 | 20 20 | 10 10 10 10 | 5 5 5 5 5 5 5 5
    #   answer of the proxy    413 ................... | scores
    metrics = Metrics()
    async with (
        asyncio.timeout(60),
        serve("body-limit=80kB"),
        opened("sagemaker", metrics, batch_windows=40) as ask,
    ):
        with capture_logs() as lines:
            answers = await ask(features[:40])
    assert (answers.refused, answers.unavailable) == ({}, [])
    assert value(metrics, "endpoint_calls_total", outcome="refused") == 7
    assert value(metrics, "endpoint_calls_total", outcome="answered") == 8
    [warning] = [line for line in lines if "too large" in line["event"]]
    assert "batch_windows" in warning["hint"]


async def test_a_single_window_that_is_too_large_is_refused_and_the_others_are_answered(
    serve: Serve, features: Floats
) -> None:
    long = features[:3].copy()
    long[1] = -1.2345678901234567e-100  # 24 characters a number
    async with (
        asyncio.timeout(60),
        serve("body-limit=12.5kB"),
        opened("sagemaker", Metrics()) as ask,
    ):
        answers = await ask(long)
    assert list(answers.refused) == [1]
    assert "413" in answers.refused[1]
    assert answers.unavailable == []


async def test_windows_in_the_queue_do_not_count_as_unanswered(
    serve: Serve, features: Floats
) -> None:
    #   quota      50 calls per second
    #   windows    200, so the last one waits for four seconds
    #   deadline   two seconds
    metrics = Metrics()
    troubles: list[str | None] = []
    flags: dict[str, Any] = {"when_down": "unavailable", "max_rate": 50, "predict_deadline_s": 2}
    async with serve(), opened("amazon-ml", metrics, troubles.append, **flags) as ask:
        answers = await ask(np.tile(features[:1], (200, 1)))
    assert answers.unavailable == []
    assert troubles == []


async def test_an_endpoint_that_hangs_opens_the_breaker_though_the_deadline_is_shorter_than_a_call(
    serve: Serve, features: Floats
) -> None:
    metrics = Metrics()
    flags: dict[str, Any] = {
        "when_down": "unavailable",
        "predict_deadline_s": 0.05,
        "attempt_timeout_s": 10,
    }
    async with asyncio.timeout(30), serve("hang"), opened("sagemaker", metrics, **flags) as ask:
        for _ in range(10):
            assert (await ask(features[:1])).unavailable == [0]
        assert value(metrics, "endpoint_breaker_open") == 1
    assert calls(metrics) < 8


async def test_an_endpoint_with_a_small_quota_gets_few_calls_beyond_it(
    serve: Serve, features: Floats
) -> None:
    metrics = Metrics()
    async with (
        asyncio.timeout(60),
        serve("throttle=5/s"),
        opened("sagemaker", metrics, batch_windows=1) as ask,
    ):
        answers = await ask(features[:30])
    assert answers.unavailable == []
    throttled = value(metrics, "endpoint_calls_total", outcome="throttled")
    answered = value(metrics, "endpoint_calls_total", outcome="answered")
    assert answered == 30
    # It takes some throttles to find the quota; after that one in eight calls.
    assert throttled < 20, throttled


@BOTH
@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("page", ""),
        ("redirect", ""),
        ("reset", ""),
        ("drip", "longer than"),
        ("half-open", "longer than"),
        ("wrong-answer", ""),
    ],
)
async def test_windows_wait_while_the_answers_of_the_endpoint_are_invalid(
    serve: Serve, features: Floats, predictor: str, fault: str, words: str
) -> None:
    troubles: asyncio.Queue[str | None] = asyncio.Queue()
    flags = {"predict_deadline_s": 0.5, "attempt_timeout_s": 0.6}
    async with (
        asyncio.timeout(60),
        serve() as address,
        opened(predictor, Metrics(), troubles.put_nowait, **flags) as ask,
    ):
        await set_faults(address, fault)
        question = asyncio.ensure_future(ask(features[:5]))
        trouble = await troubles.get()
        assert trouble is not None
        assert words in trouble
        assert not question.done()
        await set_faults(address)
        answers = await question
    assert answers.complete is not None or predictor == "amazon-ml"
    assert (answers.refused, answers.unavailable) == ({}, [])


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A certificate that nobody trusts, with its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    path = tmp_path / "untrusted.pem"
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + signed.public_bytes(serialization.Encoding.PEM)
    )
    return path


async def test_a_certificate_that_is_not_trusted_is_named(
    serve: Serve, features: Floats, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    troubles: asyncio.Queue[str | None] = asyncio.Queue()
    flags: dict[str, Any] = {"when_down": "unavailable", "predict_deadline_s": 5}
    async with serve():
        server = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0, ssl=context)
        port = server.sockets[0].getsockname()[1]
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"https://127.0.0.1:{port}")
        async with server, opened("sagemaker", Metrics(), troubles.put_nowait, **flags) as ask:
            answers: Answers = await ask(features[:1])
    assert answers.unavailable == [0]
    trouble = await troubles.get()
    assert trouble is not None
    assert "AWS_CA_BUNDLE" in trouble


@asynccontextmanager
async def answering(monkeypatch: pytest.MonkeyPatch, *parts: bytes) -> AsyncIterator[None]:
    """A server that answers each request with these parts, half a second apart."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        with suppress(ConnectionError, asyncio.CancelledError):
            for part in parts:
                writer.write(part)
                await writer.drain()
                await asyncio.sleep(0.5)
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{port}")
    async with server:
        yield


async def test_a_start_does_not_wait_for_an_endpoint_that_describes_itself_byte_by_byte(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    drip = [b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n", *([b" "] * 1000)]
    async with (
        serve(),
        answering(monkeypatch, *drip),
        asyncio.timeout(60),
        open_amazon_ml("har", "Var{:03d}", {"1": "walking"}, 1, timeout_s=0.7),
    ):
        pass


async def test_an_answer_that_is_far_too_large_is_not_read_to_its_end(
    serve: Serve, features: Floats, monkeypatch: pytest.MonkeyPatch
) -> None:
    size = 2 * SAGEMAKER_ANSWER_BYTES
    head = f"HTTP/1.1 200 OK\r\nContent-Type: text/csv\r\nContent-Length: {size}\r\n\r\n"
    async with (
        serve(),
        answering(monkeypatch, head.encode(), b"1" * size),
        open_sagemaker("har", "npy", {"1": "walking"}, 64, 1, timeout_s=20) as endpoint,
    ):
        with pytest.raises(InvalidAnswerError, match="25,000,000 bytes"):
            await endpoint.score(features[:1])
