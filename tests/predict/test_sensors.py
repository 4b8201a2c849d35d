"""Windows of devices without a gyroscope are scored by the model that needs none."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamer.arrays import Floats
from streamer.contracts.events import FeatureSetVersion
from streamer.contracts.readings import Record
from streamer.contracts.records import OneRecord
from streamer.errors import SettingsError
from streamer.features.feature_set import ACCELERATION, GRAVITY_FRAME, GRAVITY_FRAME_ACC, ROTATION
from streamer.features.gravity import extract_in_gravity_frame
from streamer.metrics import Metrics
from streamer.model import artifact
from streamer.predict.answers import make_ask
from streamer.predict.chosen_models import choose_feature_set
from streamer.predict.factory import open_predictor
from streamer.predict.local_predictor import LocalPredictor
from streamer.predict.sensors import ask_by_sensors
from streamer.publishing.people import Person
from streamer.settings import Settings
from streamer.testing import Published, readings, run_script
from tests.support.scripts import run_in_any_way

HAR, HAR_ACC = artifact.load(), artifact.load(artifact.ACC_MODEL)


def without_gyroscope(records: list[Record]) -> list[Record]:
    """The same records with acceleration only."""
    found: list[Record] = []
    for record in records:
        reading = json.loads(record.value or b"")
        del reading["gyro"]
        value = json.dumps(reading).encode()
        found.append(OneRecord(record.key, value, record.headers, record.timestamp, record.offset))
    return found


def walk(seconds: int = 20) -> Floats:
    """(n, 6) an invented person."""
    return Person(7).take(50 * seconds)[0]


@settings(max_examples=25, deadline=None)
@given(st.lists(st.booleans(), min_size=1, max_size=9))
async def test_each_window_is_scored_as_its_own_model_scores_it(without: list[bool]) -> None:
    rng = np.random.default_rng(len(without))
    features = extract_in_gravity_frame(rng.normal(0, 1, (len(without), 9, 129)))
    asked = features.copy()
    asked[np.ix_(np.array(without), np.array(ROTATION))] = np.nan

    answers = await ask_by_sensors(make_ask(LocalPredictor(HAR)), HAR_ACC)(asked)

    assert answers.unavailable == []
    by_row = {
        row: (scored.prediction.model.id, scores.tobytes())
        for scored in answers.scored
        for row, scores in zip(scored.rows.tolist(), scored.prediction.scores, strict=True)
    }
    for row, blind in enumerate(without):
        one = features[row : row + 1]
        scores = HAR_ACC.probabilities(one[:, ACCELERATION]) if blind else HAR.probabilities(one)
        assert by_row[row] == ("har-acc" if blind else "har", scores[0].tobytes())


BOTH = readings("phone", walk(), batch=10)
ONE = without_gyroscope(readings("tag", walk(), batch=10))
# A gyroscope that is switched off after ten seconds.
SWITCHED = readings("watch", walk(), batch=10)
SWITCHED = SWITCHED[:50] + without_gyroscope(SWITCHED[50:])
SCRIPT: list[Record] = [record for each in zip(BOTH, ONE, SWITCHED, strict=True) for record in each]


@pytest.fixture(scope="module")
async def whole() -> Published:
    return await run_script(SCRIPT)


async def test_events_name_the_model_and_the_features_that_labelled_them(whole: Published) -> None:
    used = {
        (event.device_id, event.model and event.model.id, event.feature_set)
        for event in whole.events
    }
    har = ("har", FeatureSetVersion("uci-har-gravity", "1"))
    har_acc = ("har-acc", FeatureSetVersion("uci-har-gravity-acc", "1"))
    assert used == {
        ("phone", *har),
        ("tag", *har_acc),
        ("watch", *har),
        ("watch", *har_acc),
    }
    skipped = whole.metrics.registry.get_sample_value(
        "streamer_windows_total", {"outcome": "no_gyroscope"}
    )
    assert not skipped


@settings(max_examples=8, deadline=None)
@given(st.data())
async def test_crashes_and_batches_anywhere_change_no_byte(
    whole: Published, data: st.DataObject
) -> None:
    await run_in_any_way(data, SCRIPT, whole)


async def test_a_model_without_a_companion_skips_windows_without_a_gyroscope() -> None:
    published = await run_script(ONE, settings=Settings(model=Path("waist")))
    assert published.events == []
    value = published.metrics.registry.get_sample_value
    assert value("streamer_windows_total", {"outcome": "no_gyroscope"})


async def test_a_model_that_needs_no_gyroscope_labels_all_devices() -> None:
    published = await run_script(
        [record for each in zip(BOTH, ONE, strict=True) for record in each],
        settings=Settings(model=Path("har-acc")),
    )
    assert {event.device_id for event in published.events} == {"phone", "tag"}
    assert {event.model and event.model.id for event in published.events} == {"har-acc"}


def test_two_models_with_incompatible_features_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="train with --features gravity-acc"):
        choose_feature_set(Settings(model_without_gyroscope=Path("waist")))
    with pytest.raises(SettingsError, match="the other model uci-har;"):
        choose_feature_set(Settings(model=Path("waist"), model_without_gyroscope=Path("har-acc")))
    mine = tmp_path / "mine.npz"
    artifact.save(mine, HAR)
    feature_set = choose_feature_set(Settings(model=mine))
    assert feature_set == GRAVITY_FRAME
    assert feature_set.needs_gyroscope
    assert not choose_feature_set(
        Settings(model=mine, model_without_gyroscope=Path("har-acc"))
    ).needs_gyroscope


async def test_drift_ignores_windows_without_a_gyroscope() -> None:
    metrics = Metrics()
    features = extract_in_gravity_frame(np.random.default_rng(1).normal(0, 1, (600, 9, 129)))
    features[:, ROTATION] = np.nan
    async with open_predictor(Settings(), metrics, lambda _: None) as ask:
        answers = await ask(features)
    assert answers.complete is not None
    assert not any(
        sample.value == sample.value
        for family in metrics.drift.collect()
        for sample in family.samples
    )


def test_the_model_without_gyroscope_takes_the_features_of_acceleration() -> None:
    assert [GRAVITY_FRAME.names[i] for i in ACCELERATION] == list(GRAVITY_FRAME_ACC.names)
    assert HAR_ACC.feature_set is GRAVITY_FRAME_ACC
    assert HAR_ACC.card.activities == HAR.card.activities
