"""Drift detection: live windows compared with the training data."""

import math

import numpy as np
import pytest
from prometheus_client import generate_latest

from streamer.arrays import Floats
from streamer.features import NAMES
from streamer.metrics import Metrics
from streamer.model import artifact
from streamer.model.identity import ModelIdentity
from streamer.predict.answers import Answers, Origin, make_ask
from streamer.predict.drift import (
    CONFIDENCE,
    ENOUGH,
    HALF_LIFE,
    LABELS,
    Drift,
    Histogram,
    watch_drift,
)
from streamer.predict.local_predictor import LocalPredictor
from streamer.predict.predictor import Prediction
from streamer.tools.worker_status import summarize_drift

MODEL = artifact.load(artifact.WAIST_MODEL)


def usual_features(windows: int, seed: int = 0) -> Floats:
    """Each feature drawn by itself as it was in training: between its deciles, tenth by tenth."""
    rng = np.random.default_rng(seed)
    deciles = MODEL.profile.deciles
    edges = np.concatenate([deciles[:, :1] - 0.1, deciles, deciles[:, -1:] + 0.1], axis=1)
    tenth = rng.integers(10, size=(windows, len(deciles)))
    of = np.arange(len(deciles))
    low, high = edges[of, tenth], edges[of, tenth + 1]
    features: Floats = low + (high - low) * rng.uniform(size=low.shape)
    return features


def test_the_index_is_the_sum_over_the_bins() -> None:
    usual = [0.5, 0.3, 0.2]
    histogram = Histogram(usual)
    histogram.add([200, 300, 500])
    expected = sum(
        (seen - share) * math.log(seen / share)
        for seen, share in zip([0.2, 0.3, 0.5], usual, strict=True)
    )
    assert float(histogram.stability_index()) == pytest.approx(expected)


def test_there_is_no_index_before_there_are_enough_windows_and_old_windows_count_less() -> None:
    histogram = Histogram([0.5, 0.5])
    histogram.add([ENOUGH - 1, 0])
    assert np.isnan(histogram.stability_index())
    histogram.add([2, 0])
    assert float(histogram.stability_index()) > 1
    for _ in range(10):
        histogram.add([HALF_LIFE // 2, HALF_LIFE // 2])
    assert float(histogram.stability_index()) < 0.01


def test_windows_like_the_training_data_have_no_drift_and_a_feature_that_differs_is_named() -> None:
    drift, moved = Drift(MODEL.profile, MODEL.signature), usual_features(4000)
    drift.add(moved, Answers(len(moved)))
    names = set(drift.indices()) - {LABELS, CONFIDENCE}
    assert max(drift.indices()[name] for name in names) < 0.05

    most_important = MODEL.profile.watched[0]
    moved[:, most_important] += 2
    drift = Drift(MODEL.profile, MODEL.signature)
    drift.add(moved, Answers(len(moved)))
    found = {name: drift.indices()[name] for name in names}
    assert [name for name, index in found.items() if index > 0.25] == [NAMES[most_important]]


def test_another_mix_of_labels_is_drift_and_the_mix_of_the_training_data_is_not() -> None:
    classes = len(MODEL.card.labels)
    counts = np.round(np.array(MODEL.profile.mix) * 4000).astype(int)
    usual = np.repeat(np.eye(classes), counts, axis=0)
    for scores, drifts in ((usual, False), (np.eye(classes)[[0]].repeat(4000, axis=0), True)):
        drift = Drift(MODEL.profile, MODEL.signature)
        answers = Answers.from_prediction(
            Prediction(scores, MODEL.signature), "local", Origin.LOCAL
        )
        drift.add(np.zeros((len(scores), 561)), answers)
        assert (drift.indices()[LABELS] > 0.25) == drifts


def test_labels_of_another_model_are_not_compared() -> None:
    drift = Drift(MODEL.profile, MODEL.signature)
    other = ModelIdentity("other", "1", ("a", "b"), ("rowing", "resting"))
    answers = Answers.from_prediction(
        Prediction(np.eye(2).repeat(1000, axis=0), other), "mine", Origin.LOCAL
    )
    drift.add(usual_features(2000), answers)
    assert np.isnan(drift.indices()[LABELS])


async def test_the_metrics_show_the_drift_and_the_live_table_summarizes_it() -> None:
    metrics = Metrics()
    drift = Drift(MODEL.profile, MODEL.signature)
    ask = watch_drift(make_ask(LocalPredictor(MODEL)), drift, metrics)
    await ask(usual_features(1))
    assert summarize_drift(generate_latest(metrics.registry).decode()) == ""
    await ask(usual_features(2000) + 3)
    words = summarize_drift(generate_latest(metrics.registry).decode())
    assert words.startswith("drift: confidence ")
    assert words.count(" · ") == 2
    # Another mix of activities alone is not drift.
    page = 'streamer_drift_psi{of="%s"} %s\n'
    quiet = page % ("labels", 0.9) + page % ("confidence", 0.02)
    assert summarize_drift(quiet) == "no drift"
