"""A worker on a real Kafka that asks an endpoint on a bad day: nothing lost, nothing twice."""

import asyncio
import dataclasses
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import ClientSession
from msgspec.structs import replace

from streamer.arrays import Floats
from streamer.contracts.activities import UNKNOWN
from streamer.contracts.events import PredictionSource, decode_event
from streamer.localkafka.broker import free_ports
from streamer.model import artifact
from streamer.predict.answers import Ask, make_ask
from streamer.predict.local_predictor import LocalPredictor
from streamer.predict.predictor import Prediction
from streamer.settings import Settings
from tests.conftest import MakeSettings
from tests.support.endpoint import Serve, set_faults
from tests.support.feeding import append, feeding
from tests.support.fleet import Fleet, fleet
from tests.support.golden import as_local, compare, golden, read_published, windows_of
from tests.support.log import Log, make_log

ALL_AT_ONCE = [
    *("latency=50ms:20%", "error=503:10%", "error=500:5%", "throttle=300/s"),
    *("hang:1%", "half-open:1%", "wrong-answer:5%", "down=1s/4s"),
]


@pytest.fixture(scope="module")
def log() -> Log:
    return make_log(100, seed=5)


@pytest.fixture
def port() -> int:
    [found] = free_ports(1)
    return found


@asynccontextmanager
async def running(settings: Settings, folder: Path, log: Log) -> AsyncIterator[Fleet]:
    """The log in its topic, and workers that may be started."""
    with fleet(settings, folder) as workers:
        async with feeding(settings) as producer:
            await append(producer, settings.readings_topic, log)
        yield workers


class AsServed(LocalPredictor):
    """The model that the endpoint serves. An endpoint does not say how strange a window is."""

    async def predict(self, features: Floats) -> Prediction:
        return dataclasses.replace(await super().predict(features), strangeness=None)


def ask_as_endpoint() -> Ask:
    return make_ask(AsServed(artifact.load(artifact.WAIST_MODEL)))


ASK = ["--predictor", "sagemaker", "--endpoint", "waist", "--endpoint-format", "npy"]
IMPATIENT = ["--attempt-timeout-s", "0.5", "--batch-windows", "8"]


@pytest.mark.parametrize("faults", [[], ALL_AT_ONCE], ids=["well", "everything fails now and then"])
async def test_events_are_the_same_through_an_endpoint_and_without_one(
    make_settings: MakeSettings, tmp_path: Path, log: Log, serve: Serve, faults: list[str]
) -> None:
    settings = make_settings(model=artifact.WAIST_MODEL)
    async with serve(*faults), running(settings, tmp_path, log) as workers:
        await asyncio.to_thread(workers.run_to_end, *ASK, *IMPATIENT)
    found = await read_published(settings)
    verdict = compare(await golden(log, settings, ask_as_endpoint()), as_local(found))
    assert verdict.good, f"{verdict}, {verdict.examples}"


async def test_amazon_ml_gets_one_window_a_call_and_never_more_than_its_quota(
    make_settings: MakeSettings, tmp_path: Path, serve: Serve
) -> None:
    log = make_log(40, seed=6)
    settings = make_settings(model=artifact.WAIST_MODEL)
    async with serve() as address, running(settings, tmp_path, log) as workers:
        await asyncio.to_thread(
            workers.run_to_end, "--predictor", "amazon-ml", "--endpoint", "waist"
        )
        async with ClientSession() as session, session.get(f"{address}/metrics") as answer:
            page = await answer.text()
    expected = await golden(log, settings, ask_as_endpoint())
    found = await read_published(settings)
    assert found.letters == expected.letters
    assert windows_of(found) == windows_of(expected)
    # Only predictions that succeed, and the question where the endpoint is.
    [calls] = re.findall(r"streamer_endpoint_requests_total\{(.*)\} (.*)", page)
    assert calls == ('path="/",status="200"', f"{1 + sum(map(len, found.events.values()))}.0")
    for events in found.events.values():
        for event in map(decode_event, events):
            assert (event.predictor, event.source) == ("amazon-ml", PredictionSource.ENDPOINT)
            assert event.model
            assert event.model.id == "waist"
            assert event.label in event.scores


async def test_a_worker_with_the_policy_hold_loses_nothing_while_the_endpoint_is_down(
    make_settings: MakeSettings, tmp_path: Path, log: Log, serve: Serve, port: int
) -> None:
    #   endpoint   ............ away ..................| back
    #   first      |-- holds, says so --| SIGTERM
    #   last                             |-- holds ----|-- everything, once --|
    settings = make_settings(model=artifact.WAIST_MODEL)
    async with running(settings, tmp_path, log) as workers:
        async with serve(port=port):
            pass  # its address is known, and nobody is there
        flags = [*ASK, "--predict-deadline-s", "1"]
        workers.start("first", *flags)
        await asyncio.to_thread(workers.says, "first", "does not answer")
        await asyncio.to_thread(workers.stop, "first")
        workers.start("last", "--until-end", *flags)
        await asyncio.to_thread(workers.says, "last", "does not answer")
        assert not (await read_published(settings)).events
        async with serve(port=port):
            assert await asyncio.to_thread(workers.wait, "last") == 0, workers.text("last")
        assert "answers again" in workers.text("last")
    found = await read_published(settings)
    assert compare(await golden(log, settings, ask_as_endpoint()), as_local(found)).good


async def test_a_worker_whose_endpoint_refuses_everything_is_not_ready_and_keeps_all_windows(
    make_settings: MakeSettings, tmp_path: Path, log: Log, serve: Serve
) -> None:
    #   endpoint   | refuses everything ......................| mended
    #   worker     |-- holds, not ready, says the words ------|-- everything, once --|
    settings = make_settings(model=artifact.WAIST_MODEL)
    async with serve("refuse") as address, running(settings, tmp_path, log) as workers:
        workers.start("worker", "--until-end", *ASK)
        await asyncio.to_thread(workers.says, "worker", "refuses every window")
        [port] = re.findall(r"http://127\.0\.0\.1:(\d+)/metrics", workers.text("worker"))
        async with ClientSession() as session:

            async def readiness() -> tuple[int, str]:
                async with session.get(f"http://127.0.0.1:{port}/readyz") as answer:
                    return answer.status, await answer.text()

            async with asyncio.timeout(60):
                # Partitions that are still being rebuilt are the first reason to be named.
                while "injected fault: refused" not in (reason := await readiness())[1]:  # noqa: ASYNC110
                    await asyncio.sleep(0.05)
            assert reason[0] == 503
        meanwhile = await read_published(settings)
        assert not meanwhile.events
        await set_faults(address)
        assert await asyncio.to_thread(workers.wait, "worker") == 0, workers.text("worker")
    found = await read_published(settings)
    verdict = compare(await golden(log, settings, ask_as_endpoint()), as_local(found))
    assert verdict.good, f"{verdict}, {verdict.examples}"


@pytest.mark.parametrize("policy", ["fallback", "unavailable"])
async def test_the_policy_decides_what_happens_while_the_endpoint_is_down(
    make_settings: MakeSettings, tmp_path: Path, log: Log, serve: Serve, port: int, policy: str
) -> None:
    settings = make_settings(model=artifact.WAIST_MODEL)
    async with running(settings, tmp_path, log) as workers:
        async with serve(port=port):
            pass
        await asyncio.to_thread(
            workers.run_to_end, *ASK, "--predict-deadline-s", "1", "--when-down", policy
        )
    expected, found = await golden(log, settings), await read_published(settings)
    assert found.events.keys() == expected.events.keys()
    for device, events in expected.events.items():
        for wanted, value in zip(events, found.events[device], strict=True):
            event = decode_event(value)
            if policy == "fallback":
                assert event == replace(decode_event(wanted), source=PredictionSource.FALLBACK)
            else:
                assert event.window_id == decode_event(wanted).window_id
                assert event.activity == UNKNOWN
                assert (event.label, event.confidence, event.scores) == (None, None, {})
                assert (event.model, event.source) == (None, PredictionSource.NONE)
