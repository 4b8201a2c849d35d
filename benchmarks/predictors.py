"""Measures windows a second of each predictor, on one core; the server has another core.

    python benchmarks/predictors.py [--seconds 5] [--repeat 5]

For comparison, a simple client of SageMaker: aioboto3 with its defaults, one window a call as CSV,
ten concurrent calls. All take turns; the medians are reported, with their ratio to the naive
client. Amazon ML answers 200 calls a second and throttles the rest, so there the figures are the
share of that quota and the throttles.
"""

import asyncio
import contextlib
import json
import os
import statistics
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import aioboto3
import click
import numpy as np

from streamer.arrays import Floats

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.figures import Figure, report
from benchmarks.prediction_server import count_throttled, prediction_server
from streamer.metrics import Metrics
from streamer.model import artifact
from streamer.predict.answers import Ask
from streamer.predict.factory import open_predictor
from streamer.process import log
from streamer.settings import Settings

QUESTION = 64
AT_ONCE = 16

CASES = {
    "naive": {},
    "sagemaker csv": {"predictor": "sagemaker", "endpoint_format": "csv"},
    "sagemaker jsonlines": {"predictor": "sagemaker", "endpoint_format": "jsonlines"},
    "sagemaker npy": {"predictor": "sagemaker", "endpoint_format": "npy"},
    "local waist": {"predictor": "local", "model": "waist"},
    "local har": {"predictor": "local", "model": "har"},
    "amazon-ml": {"predictor": "amazon-ml"},
}


@click.command()
@click.option("--seconds", default=5.0, show_default=True)
@click.option("--repeat", default=5, show_default=True)
def main(seconds: float, repeat: int) -> None:
    """Print a JSON line for each predictor, and a table."""
    log.configure(Settings.load({"log_level": "error"}))
    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, cores[:1])
    found: dict[str, list[float]] = {case: [] for case in CASES}
    throttles = 0
    for _ in range(repeat):
        for case, flags in CASES.items():
            with prediction_server(cores=set(cores[1:2]) or None) as address:
                found[case].append(asyncio.run(windows_per_second(flags, seconds)))
                if case == "amazon-ml":
                    throttles += count_throttled(address)
    naive = statistics.median(found["naive"])
    lines: list[Figure] = []
    for case, rates in found.items():
        median = statistics.median(rates)
        line: dict[str, object] = {"benchmark": "predictors", "predictor": case}
        line["windows_per_second"] = round(median)
        line["ratio"] = round(median / naive, 1)
        if case == "amazon-ml":
            line |= {"share_of_quota": round(median / 200, 3), "throttles": throttles}
        lines.append(line)
    report(lines)


async def windows_per_second(flags: dict[str, str], seconds: float) -> float:
    """Ask as fast as it goes, a moment to warm up first."""
    features = len(artifact.load(Path(flags.get("model", "waist"))).feature_set.names)
    rows = np.random.default_rng(0).uniform(-1, 1, (QUESTION, features))
    if not flags:
        async with naive() as ask_one:
            return await rate(lambda: ask_one(rows), 10, 1, seconds)
    settings = Settings.load({**flags, "endpoint": "waist"})
    async with open_predictor(settings, Metrics(), print) as ask:
        if flags["predictor"] == "amazon-ml":
            return await rate(lambda: answered(ask, rows[:1]), 20, 1, seconds)
        return await rate(lambda: answered(ask, rows), AT_ONCE, QUESTION, seconds)


async def answered(ask: Ask, rows: Floats) -> None:
    assert (await ask(rows)).complete is not None


@contextlib.asynccontextmanager
async def naive() -> AsyncIterator[Callable[[Floats], Awaitable[None]]]:
    """What a script would do."""
    async with aioboto3.Session().client("sagemaker-runtime") as client:

        async def ask_one(rows: Floats) -> None:
            body = ",".join(str(value) for value in rows[0])
            answer = await client.invoke_endpoint(
                EndpointName="waist", Body=body, ContentType="text/csv"
            )
            json.loads(await answer["Body"].read())

        yield ask_one


async def rate(
    ask: Callable[[], Awaitable[None]], at_once: int, windows: int, seconds: float
) -> float:
    """Windows a second of so many questions at once."""
    done = 0
    loop = asyncio.get_running_loop()
    end_s = loop.time() + 1 + seconds

    async def keep_asking() -> None:
        nonlocal done
        while loop.time() < end_s:
            await ask()
            if loop.time() > end_s - seconds:
                done += windows

    await asyncio.gather(*(keep_asking() for _ in range(at_once)))
    return done / (loop.time() - end_s + seconds)


if __name__ == "__main__":
    main()
