"""Batches of windows through our Amazon ML and moto's S3, with crashes: each window once and paid
for once."""

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import structlog
from structlog.testing import capture_logs

from streamer.contracts.records import OneRecord, Records
from streamer.contracts.segments import OpenSegment, PublishedEvent
from streamer.errors import EndpointError, SettingsError
from streamer.flow import batch_flow
from streamer.flow.batch_flow import BatchFlow
from streamer.flow.recovery import recover
from streamer.flow.stage_results import Output
from streamer.metrics import Metrics
from streamer.predict import amazon_ml_batches, amazon_ml_jobs
from streamer.predict.amazon_ml_batches import AmazonMLBatches
from streamer.predict.factory import open_predictor
from streamer.predict.open_amazon_ml_batches import open_amazon_ml_batches
from streamer.settings import Settings
from streamer.stream.position import Position
from tests.support.amazon_ml import AmazonML, client
from tests.support.golden import Published, as_local, compare, golden, make_partition_state
from tests.support.log import make_log
from tests.support.s3_server import BUCKET

FOLDER = f"s3://{BUCKET}/batches"


def settings_of(**changed: Any) -> Settings:
    chosen = {
        "predictor": "amazon-ml-batch",
        "endpoint": "waist",
        "batch_location": FOLDER,
        "batch_interval_s": 3600,
        "batch_clean_up": False,
        "group_id": "group",
    }
    return Settings.load(chosen | changed, None)


SETTINGS = settings_of()
SOME = 1000
"""Records of a part of the log, which closes a few windows."""


class Log:
    """Gives records in fetches of one size; at the end it waits, or says that it is exhausted."""

    def __init__(self, records: list[OneRecord], size: int, *, until_end: bool = True) -> None:
        self.stopping = asyncio.Event()
        self.next = 0
        self.behind = False
        self.exhausted = False
        self._records = records
        self._size = size
        self._until_end = until_end

    @property
    def stopped(self) -> bool:
        return self.stopping.is_set()

    def seek(self, offset: int) -> None:
        self.next = offset

    async def fetch(self) -> Records | None:
        await asyncio.sleep(0)
        fetched = self._records[self.next : self.next + self._size]
        if not fetched and not self._until_end:
            await self.stopping.wait()
        self.next += len(fetched)
        self.exhausted = self._until_end and not fetched
        return Records.of(fetched, appended=False) if fetched else None

    async def fetch_some(self) -> Records:
        return await self.fetch() or Records.of([])


class Partition:
    """A partition whose worker may die, and what a broker has of it."""

    def __init__(self, records: list[OneRecord]) -> None:
        self.records = records
        self.position = Position(0, 0)
        self.outputs: list[Output] = []
        self.interval_s = 0.0
        self.commits = 0
        self.commits_left = 10**9

    async def commit(self, outputs: Sequence[Output]) -> None:
        """Publish, or die before it."""
        if not self.commits_left:
            raise ConnectionError("the worker dies")
        self.commits += 1
        self.commits_left -= 1
        self.outputs += outputs
        self.position = outputs[-1].position

    async def finish(self) -> None:
        """Everything is committed."""

    async def work(self, batches: AmazonMLBatches, log: Log) -> None:
        """Run a worker from the committed position."""
        with ThreadPoolExecutor(1) as cpu:
            state = make_partition_state(SETTINGS, self.position)
            if self.position.low < self.position.next:
                await recover(log, state, self.position, cpu, lambda *_: None, self._read_back)
            log.seek(self.position.next)
            opened = batches.open_partition("readings", "", 0)
            flow = BatchFlow(log, state, opened, batches.interval_s, self, Metrics(), cpu)
            await flow.run()
            assert not flow.waits

    async def _read_back(self, *_: Any) -> Sequence[PublishedEvent]:
        return [
            PublishedEvent(event, OpenSegment.from_headers([("streamer-segment", header)]))
            for output in self.outputs
            for event, header in zip(output.events, output.segments.headers, strict=True)
        ]

    @property
    def published(self) -> Published:
        return Published().add(0, self.outputs)


@pytest.fixture(scope="module")
def records() -> list[OneRecord]:
    return max(make_log(25, seed=5), key=len)


@pytest.fixture(autouse=True)
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """Some batches in a minute, and no long pauses."""
    monkeypatch.setattr(batch_flow, "BATCH_WINDOWS", 25)
    monkeypatch.setattr(amazon_ml_jobs, "FIRST_POLL_S", 0.05)
    monkeypatch.setattr(amazon_ml_jobs, "FIRST_REPEAT_S", 0.1)
    monkeypatch.setattr(amazon_ml_batches, "FIRST_READING_S", 0.05)


@contextlib.asynccontextmanager
async def opened(
    settings: Settings = SETTINGS, troubles: list[str | None] | None = None
) -> AsyncIterator[AmazonMLBatches]:
    said = troubles if troubles is not None else []
    async with open_amazon_ml_batches(settings, Metrics(), said.append) as batches:
        yield batches


async def expected(records: list[OneRecord]) -> Published:
    """What the real-time endpoint of the same model says. It is asked once for each log."""
    if len(records) in _EXPECTED:
        return _EXPECTED[len(records)]
    settings = settings_of(predictor="amazon-ml", batch_location=None)
    async with open_predictor(settings, Metrics(), lambda _: None) as ask:
        _EXPECTED[len(records)] = await golden([records], settings, ask)
    return _EXPECTED[len(records)]


_EXPECTED: dict[int, Published] = {}


def jobs_of(amazon: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = amazon.describe_batch_predictions()["Results"]
    return found


async def count_paid() -> int:
    """How many windows the service has predicted."""
    jobs = await asyncio.to_thread(lambda: jobs_of(client()))
    return sum(int(each.get("TotalRecordCount", 0)) for each in jobs)


def assert_complete(wanted: Published, partition: Partition) -> None:
    verdict = compare(as_local(wanted), as_local(partition.published))
    assert verdict.good, f"{verdict}, {verdict.examples}"


async def test_events_are_those_of_the_real_time_endpoint_and_nothing_consumed_is_left(
    amazon_ml: AmazonML, records: list[OneRecord]
) -> None:
    partition = Partition(records)
    async with amazon_ml.running(), opened(settings_of(batch_clean_up=True)) as batches:
        await partition.work(batches, Log(records, 100))
        wanted = await expected(records)
        jobs = await asyncio.to_thread(lambda: jobs_of(client()))
    assert partition.commits > 2
    assert_complete(wanted, partition)
    assert (jobs, amazon_ml.s3.objects()) == ([], {})


async def test_a_worker_that_dies_finds_its_batches_again_and_no_window_is_paid_for_twice(
    amazon_ml: AmazonML, records: list[OneRecord]
) -> None:
    """Each worker fetches other parts of the log, and dies before its second commit.

    worker 1   | stores all batches | commits one | dies
    worker 2   | ends its batches where worker 1 has | commits one | dies
    """
    partition = Partition(records)
    async with amazon_ml.running(), opened() as batches:
        for size in (7, 300):
            partition.commits_left = 1
            with pytest.raises(ExceptionGroup):
                await partition.work(batches, Log(records, size))
        partition.commits_left = 10**9
        await partition.work(batches, Log(records, 90))
        wanted = await expected(records)
        windows = sum(map(len, wanted.events.values()))
        assert await count_paid() == windows
    assert_complete(wanted, partition)


async def test_a_worker_that_is_stopped_leaves_its_batches_to_the_next(
    amazon_ml: AmazonML, records: list[OneRecord]
) -> None:
    """
    worker 1   | stores batches | is stopped while their jobs wait
    worker 2                                       | commits them all
    """
    partition = Partition(records)
    stored = asyncio.Event()
    amazon_ml.s3.on_upload = tell(stored, ".csv")
    log = Log(records, 100, until_end=False)
    async with amazon_ml.running(), opened() as batches:
        work = asyncio.create_task(partition.work(batches, log))
        await stored.wait()
        log.stopping.set()
        await work
        await partition.work(batches, Log(records, 64))
        wanted = await expected(records)
        assert await count_paid() == sum(map(len, wanted.events.values()))
    assert_complete(wanted, partition)


def tell(event: asyncio.Event, ending: str) -> Callable[[str], bool]:
    """Set an event when an object is uploaded. The server calls it in a thread."""
    loop = asyncio.get_running_loop()

    def seen(key: str) -> bool:
        if key.endswith(ending):
            loop.call_soon_threadsafe(event.set)
        return True

    return seen


async def test_an_outage_of_s3_holds_the_windows(
    amazon_ml: AmazonML, records: list[OneRecord]
) -> None:
    failures = iter(range(3))

    def fail_first(key: str) -> bool:
        if key.endswith(".csv") and next(failures, None) is not None:
            raise ConnectionError("away")
        return True

    amazon_ml.s3.on_upload = fail_first
    partition, troubles = Partition(records[:SOME]), list[str | None]()
    async with amazon_ml.running(), opened(troubles=troubles) as batches:
        await partition.work(batches, Log(partition.records, 100))
        wanted = await expected(partition.records)
    assert_complete(wanted, partition)
    assert any(troubles), troubles
    assert troubles[-1] is None


async def test_a_batch_prediction_that_fails_is_named_and_created_again(
    amazon_ml: AmazonML, records: list[OneRecord]
) -> None:
    refused = iter(range(1))
    amazon_ml.s3.on_upload = lambda key: not key.endswith(".csv.gz") or next(refused, None) is None
    partition, troubles = Partition(records[:SOME]), list[str | None]()
    async with amazon_ml.running(), opened(troubles=troubles) as batches:
        structlog.reset_defaults()  # the fixture silences the server
        with capture_logs() as logs:
            await partition.work(batches, Log(partition.records, 100))
        wanted = await expected(partition.records)
    assert_complete(wanted, partition)
    assert any(trouble and "is denied" in trouble for trouble in troubles), troubles
    [said] = [each for each in logs if each["event"] == "a batch prediction has failed"]
    assert "is denied" in said["message"]


@pytest.mark.parametrize("is_mended", [True, False])
async def test_results_that_are_cut_off_are_read_again_before_an_operator_is_asked(
    amazon_ml: AmazonML, records: list[OneRecord], is_mended: bool
) -> None:
    """
    worker 1   | dies when the job is complete; then the results are cut off
    worker 2   | reads them | again | ... | commits, or ends with an error
    """
    partition, troubles = Partition(records[:SOME]), list[str | None]()
    partition.commits_left = 0

    def mend(trouble: str | None) -> None:
        troubles.append(trouble)
        if is_mended:
            for key, content in whole.items():
                amazon_ml.put(key, content)

    whole: dict[str, bytes] = {}
    async with (
        amazon_ml.running(),
        open_amazon_ml_batches(SETTINGS, Metrics(), mend) as batches,
    ):
        with pytest.raises(ExceptionGroup):
            await partition.work(batches, Log(partition.records, 100))
        whole |= {k: v for k, v in amazon_ml.s3.objects().items() if k.endswith(".gz")}
        for key, content in whole.items():
            amazon_ml.put(key, content[: len(content) // 2])

        partition.commits_left = 10**9
        work = partition.work(batches, Log(partition.records, 90))
        if is_mended:
            await work
            assert_complete(await expected(partition.records), partition)
        else:
            with pytest.raises(ExceptionGroup) as raised:
                await work
            found = raised.value.exceptions[0]
            assert isinstance(found, EndpointError)
            assert "delete-batch-prediction" in str(found)
            assert not partition.outputs
    assert any(trouble and "cut off" in trouble for trouble in troubles), troubles


async def test_a_record_that_the_service_calls_invalid_becomes_a_dead_letter(
    amazon_ml: AmazonML, records: list[OneRecord], monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    worker 1   | stores a batch | dies; then one of its features is no number
    worker 2                           | labels the others
    """
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")  # nobody listens there
    partition, stored = Partition(records[:SOME]), asyncio.Event()
    log = Log(partition.records, 100)
    async with open_amazon_ml_batches(SETTINGS, Metrics(), lambda _: stored.set()) as batches:
        work = asyncio.create_task(partition.work(batches, log))
        await stored.wait()
        log.stopping.set()
        await work
        [(key, content)] = amazon_ml.s3.objects().items()
        lines = content.splitlines()
        lines[3] = lines[3].rsplit(b",", 1)[0] + b",nan"
        amazon_ml.put(key, b"\n".join(lines))
    threads = [watch_thread(monkeypatch, name) for name in ("read_results", "find_features")]
    async with amazon_ml.running(), opened() as batches:
        await partition.work(batches, Log(partition.records, 90))
        wanted = await expected(partition.records)
    letters = [
        letter
        for output in partition.outputs
        for letter in output.dead_letters
        if letter.reason == "refused"
    ]
    events = sum(map(len, partition.published.events.values()))
    assert events == sum(map(len, wanted.events.values())) - 1
    assert [letter.detail.partition(",")[0] for letter in letters] == [
        "Amazon ML counts the record as invalid"
    ]
    assert letters[0].record.value
    assert b'"features":[' in letters[0].record.value
    # Large files do not stop the event loop.
    assert all(found and threading.current_thread() not in found for found in threads)


def watch_thread(monkeypatch: pytest.MonkeyPatch, name: str) -> set[threading.Thread]:
    """Return the threads, as they come, in which the module of batches calls a function."""
    function = getattr(amazon_ml_batches, name)
    threads = set()

    def call(*arguments: Any) -> Any:
        threads.add(threading.current_thread())
        return function(*arguments)

    monkeypatch.setattr(amazon_ml_batches, name, call)
    return threads


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"endpoint": "unknown"}, "unknown"),
        ({"batch_location": "s3://nobodys-bucket/x"}, "NoSuchBucket"),
    ],
)
async def test_a_model_or_a_bucket_that_is_not_there_is_an_error_at_the_start(
    amazon_ml: AmazonML, changed: dict[str, str], words: str
) -> None:
    async with amazon_ml.running():
        with pytest.raises(EndpointError, match=words):
            async with opened(settings_of(**changed)):
                pass


@pytest.mark.parametrize(
    "changed", [{"batch_location": None}, {"when_down": "fallback"}, {"store_features": "some"}]
)
def test_settings_that_do_not_go_with_batches_are_refused(changed: dict[str, Any]) -> None:
    with pytest.raises(SettingsError, match=next(iter(changed))):
        settings_of(**changed)
