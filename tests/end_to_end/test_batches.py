"""Workers on a real Kafka that predict in batches and die: nothing lost, twice, or paid twice."""

import asyncio
from pathlib import Path

import pytest

from streamer.metrics import Metrics
from streamer.predict.factory import open_predictor
from streamer.settings import Settings
from tests.conftest import MakeSettings
from tests.support.amazon_ml import AmazonML, client
from tests.support.doomed import BATCHES
from tests.support.feeding import append, feeding
from tests.support.fleet import ENDED_WELL, fleet
from tests.support.golden import Published, as_local, compare, golden, read_published
from tests.support.log import Log, make_log
from tests.support.s3_server import BUCKET

ASK = (
    *("--predictor", "amazon-ml-batch", "--endpoint", "waist"),
    *("--batch-location", f"s3://{BUCKET}/some/prefix", "--batch-interval-s", "1"),
)


async def expected(log: Log, settings: Settings) -> Published:
    """What the real-time endpoint of the same model says."""
    real_time = settings.model_copy(update={"predictor": "amazon-ml", "endpoint": "waist"})
    async with open_predictor(real_time, Metrics(), lambda _: None) as ask:
        return await golden(log, settings, ask)


def count_paid() -> int:
    jobs = client().describe_batch_predictions()["Results"]
    return sum(int(each.get("TotalRecordCount", 0)) for each in jobs)


@pytest.mark.slow
async def test_workers_that_die_anywhere_in_a_batch_lose_no_window_and_pay_for_none_twice(
    make_settings: MakeSettings, tmp_path: Path, amazon_ml: AmazonML
) -> None:
    #   worker 1   |-- stores, asks ... | dies at a point
    #   worker 2                        |-- finds its batches, goes on ... | dies at another point
    #   last                                                               |-- finishes --|
    log = make_log(60, seed=7)
    settings = make_settings(model="waist")
    async with amazon_ml.running(), feeding(settings) as producer:
        with fleet(settings, tmp_path) as workers:
            points = [point for point in BATCHES if point != "before a batch is removed"]
            shares = [share / len(points) for share in range(len(points) + 1)]
            for number, point in enumerate(points):
                share = shares[number], shares[number + 1]
                await append(producer, settings.readings_topic, log, share)
                name = f"worker-{number}"
                workers.start(name, *ASK, "--no-batch-clean-up", doom=(point, 2 + number))
                assert await asyncio.to_thread(workers.wait, name) < 0, workers.text(name)
            workers.start("last", *ASK, "--no-batch-clean-up", "--until-end")
            assert await asyncio.to_thread(workers.wait, "last") in ENDED_WELL, workers.text("last")
            assert workers.kills == len(points)
            assert workers.count("are found again") > 0
        wanted = await expected(log, settings)
        paid = await asyncio.to_thread(count_paid)
        verdict = compare(as_local(wanted), as_local(await read_published(settings)))
    assert verdict.good, f"{verdict}, {verdict.examples}"
    assert paid == sum(map(len, wanted.events.values()))


@pytest.mark.slow
async def test_a_worker_that_dies_while_it_removes_a_batch_leaves_that_to_the_next(
    make_settings: MakeSettings, tmp_path: Path, amazon_ml: AmazonML
) -> None:
    log = make_log(60, seed=8)
    settings = make_settings(model="waist")
    async with amazon_ml.running(), feeding(settings) as producer:
        await append(producer, settings.readings_topic, log)
        with fleet(settings, tmp_path) as workers:
            workers.start("first", *ASK, doom=("before a batch is removed", 1))
            assert await asyncio.to_thread(workers.wait, "first") < 0, workers.text("first")
            await asyncio.to_thread(workers.run_to_end, *ASK)
            # The last batches of partitions are removed while the worker ends.
            await asyncio.to_thread(workers.run_to_end, *ASK)
        wanted = await expected(log, settings)
        found = await read_published(settings)
    assert compare(as_local(wanted), as_local(found)).good
    assert not amazon_ml.s3.objects()
