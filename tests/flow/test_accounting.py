"""Windows balance at every moment: opened = predicted + skipped + open."""

import asyncio
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from streamer.arrays import Floats
from streamer.flow.partition_state import PartitionState
from streamer.flow.pipeline import flow
from streamer.flow.rejects import RejectLimit
from streamer.metrics import Metrics
from streamer.model import artifact
from streamer.predict.answers import Answers, make_ask
from streamer.predict.local_predictor import LocalPredictor
from streamer.predict.serving import Serving
from streamer.settings import Settings
from streamer.stream.position import Position
from tests.support.member import WINDOWS_OF_10_S, ten_seconds
from tests.support.memory_log import ListSink, ListSource


class SlowPredictor:
    """A predictor that answers when it is told to."""

    def __init__(self) -> None:
        predictor = LocalPredictor(artifact.load())
        self.feature_set = predictor.feature_set
        self.asked = asyncio.Event()
        self.may_answer = asyncio.Event()
        self._ask = make_ask(predictor)

    async def ask(self, features: Floats) -> Answers:
        self.asked.set()
        await self.may_answer.wait()
        return await self._ask(features)


def windows(metrics: Metrics) -> dict[str, float]:
    """Return how many windows there are of each fate, and how many were opened."""
    counted = {
        sample.labels["outcome"]: sample.value
        for family in metrics.windows.collect()
        for sample in family.samples
        if sample.name.endswith("_total")
    }
    value = metrics.registry.get_sample_value
    counted["open"] = value("streamer_windows_open") or 0.0
    opened = value("streamer_windows_opened_total") or 0.0
    assert opened == sum(counted.values())
    return counted


@pytest.mark.parametrize("is_answered", [True, False])
async def test_a_window_counts_as_predicted_when_its_prediction_is_there(is_answered: bool) -> None:
    """
    windows     opened ... closed ... asked about ........ answered
    counted     |------------ open -----------------------| predicted
                                          stopped here --> unanswered
    """
    metrics, predictor = Metrics(), SlowPredictor()
    limit = RejectLimit(1, 1, lambda: 0.0)
    state = PartitionState(Settings(), metrics, Position(0, 0), limit, predictor.feature_set)
    source, sink = ListSource(ten_seconds("phone"), np.iinfo(int).max), ListSink()
    with ThreadPoolExecutor(1) as cpu:
        models = Serving("", predictor.ask)
        flowing = asyncio.create_task(flow(source, state, lambda: models, sink, metrics, cpu))
        async with asyncio.timeout(300):
            await predictor.asked.wait()
        before = windows(metrics)
        assert "predicted" not in before
        assert before["open"] > 0
        if is_answered:
            predictor.may_answer.set()
            await flowing
        else:
            flowing.cancel()
            await asyncio.wait({flowing})
    state.hand_over()
    after = windows(metrics)
    assert after["open"] == 0
    if is_answered:
        assert after["predicted"] in WINDOWS_OF_10_S
        assert after["predicted"] == sum(len(output.events) for output in sink.outputs)
    else:
        assert after["unanswered"] > 0
        assert "predicted" not in after
