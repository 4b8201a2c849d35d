"""A canary decides for a stable share of the devices, and is rolled back when it is worse."""

import asyncio
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from streamer.arrays import Floats
from streamer.errors import CanaryError
from streamer.health import Health
from streamer.metrics import Metrics
from streamer.model import artifact
from streamer.model.artifact import DEFAULT_MODEL, WAIST_MODEL
from streamer.predict.answers import Answers
from streamer.predict.canary import ENOUGH, CanaryRule, is_chosen
from streamer.predict.open_models import open_models
from streamer.predict.predictor import Prediction
from streamer.predict.serving import Serving, find_withdrawn
from streamer.settings import Settings
from streamer.stream.windows import Window
from tests.support.events import WALK
from tests.support.models import no_disagreements, save_renamed

DEVICES = [f"phone-{i}" for i in range(400)]
WINDOWS = [Window(device, 0, 1.0, settled=True, follows=True) for device in DEVICES]
FEATURES = np.repeat(artifact.load(WAIST_MODEL).profile.deciles[None, :, 4], len(WINDOWS), axis=0)


def chosen(share: float) -> set[str]:
    return {device for device in DEVICES if is_chosen(device, share)}


def test_the_devices_of_a_canary_are_stable_and_a_larger_share_only_adds_some() -> None:
    assert chosen(0) == set()
    assert chosen(0.1) < chosen(0.3) < chosen(1)
    assert chosen(1) == set(DEVICES)
    assert 0.05 < len(chosen(0.1)) / len(DEVICES) < 0.15


class Fails:
    """A predictor that fails, refuses, hangs, or answers well."""

    name = "fails"

    def __init__(self, _: Settings) -> None:
        self._model = artifact.load(WAIST_MODEL)

    async def predict(self, features: Floats) -> Prediction:
        raise OSError("no such thing")


class Hangs(Fails):
    async def predict(self, features: Floats) -> Prediction:
        await asyncio.Event().wait()
        raise AssertionError


class Odd(Fails):
    """It calls everything by its last class."""

    async def predict(self, features: Floats) -> Prediction:
        scores = np.zeros((len(features), len(self._model.signature.labels)))
        scores[:, -1] = 1
        return Prediction(scores, self._model.signature)


def with_canary(**flags: Any) -> Settings:
    return Settings.load(
        {"model": "waist", "canary_predictor": "local", "canary_share": 0.2, "model_check_s": 3600}
        | flags
    )


def ids(answers: Answers) -> list[str]:
    """The model of each window."""
    found = {row: each.prediction.model.id for each in answers.scored for row in each.rows.tolist()}
    return [found[row] for row in range(answers.count)]


async def ask(serving: Serving) -> Answers:
    return await serving.ask_for(WINDOWS)(FEATURES)


async def test_a_canary_decides_for_its_devices_and_the_position_names_it(tmp_path: Path) -> None:
    path = tmp_path / "canary.npz"
    save_renamed(WAIST_MODEL, path, "canary")
    metrics = Metrics()
    settings = with_canary(canary_model=path)
    async with open_models(settings, metrics, Health(lambda: 0.0), no_disagreements) as models:
        answers = await ask(models.serving)
        expected = ["canary" if is_chosen(device, 0.2) else "waist" for device in DEVICES]
        assert ids(answers) == expected
        assert answers.unavailable == []
        assert "&canary@" in models.serving.name
        assert models.serving.name.endswith("*0.2")
        assert not models.serving.is_first
        value = metrics.registry.get_sample_value
        assert value("streamer_canary_comparisons_total", {"outcome": "same"}) == len(chosen(0.2))


@pytest.mark.parametrize("kind", ["Fails", "Hangs"])
async def test_a_canary_that_fails_or_hangs_says_so_and_answers_nothing(kind: str) -> None:
    settings = with_canary(canary_predictor=f"{__name__}:{kind}", predict_deadline_s=0.05)
    async with open_models(settings, Metrics(), Health(lambda: 0.0), no_disagreements) as models:
        with pytest.raises(CanaryError):
            await ask(models.serving)


async def test_a_canary_that_is_rolled_back_stays_so_until_it_is_another_model(
    tmp_path: Path,
) -> None:
    path, first = tmp_path / "canary.npz", tmp_path / "first.npz"
    save_renamed(WAIST_MODEL, path, "canary")
    shutil.copy(WAIST_MODEL, first)
    metrics, health = Metrics(), Health(lambda: 0.0)
    settings = with_canary(model=first, canary_model=path)
    async with open_models(settings, metrics, health, no_disagreements) as models:
        canary = models.serving.canary
        assert canary is not None
        with capture_logs() as lines:
            models.withdraw_canary(canary.name, "a test says so")
            models.withdraw_canary(canary.name, "and says it again")
        assert [line["event"] for line in lines] == ["the canary is rolled back"]
        assert metrics.registry.get_sample_value("streamer_canary_rollbacks_total") == 1
        assert "a test says so" in (health.trouble() or "")
        assert find_withdrawn(models.serving.name) == canary.name
        assert set(ids(await ask(models.serving))) == {"waist"}

        save_renamed(WAIST_MODEL, first, "next")  # another first model: the canary stays away
        await models.look()
        assert find_withdrawn(models.serving.name) == canary.name

        save_renamed(WAIST_MODEL, path, "other-canary")
        await models.look()
        assert models.serving.canary is not None
        assert health.trouble() is None


async def test_a_canary_with_other_opinions_is_rolled_back() -> None:
    health = Health(lambda: 0.0)
    settings = with_canary(canary_predictor=f"{__name__}:Odd", canary_share=1)
    async with open_models(settings, Metrics(), health, no_disagreements) as models:
        await ask(models.serving)
        models.record_events([WALK])
        assert models.serving.canary is None
        assert "canary_min_agreement" in (health.trouble() or "")


async def test_a_canary_with_other_features_is_an_error_at_the_start() -> None:
    settings = with_canary(canary_model=DEFAULT_MODEL)
    with pytest.raises(Exception, match="both must take the same"):
        async with open_models(settings, Metrics(), Health(lambda: 0.0), no_disagreements):
            pass


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 50)), max_size=60))
def test_the_rule_says_nothing_about_a_canary_that_is_as_good(
    parts: list[tuple[bool, int]],
) -> None:
    rule = CanaryRule(unknown_margin=0.1, min_agreement=0.7)
    for is_canary, windows in parts:
        rule.count_events(windows // 10, windows, is_canary=is_canary)
        rule.count_agreement(windows - windows // 10, windows)
        assert rule.verdict() is None


def test_the_rule_notices_more_unknown_windows_after_enough_of_both() -> None:
    #   canary   half of them unknown ............... 199 | 200: worse
    #   others   a tenth of them unknown ... enough
    rule = CanaryRule(unknown_margin=0.1, min_agreement=0)
    rule.count_events(ENOUGH // 10, ENOUGH, is_canary=False)
    rule.count_events(ENOUGH // 2, ENOUGH - 1, is_canary=True)
    assert rule.verdict() is None
    rule.count_events(0, 1, is_canary=True)
    assert "unknown" in (rule.verdict() or "")


def test_old_windows_count_less_and_less() -> None:
    rule = CanaryRule(unknown_margin=0.1, min_agreement=0.7)
    for _ in range(50):
        rule.count_agreement(ENOUGH, ENOUGH)
    assert rule.verdict() is None
    for _ in range(20):
        rule.count_agreement(0, ENOUGH)
    assert "canary_min_agreement" in (rule.verdict() or "")
