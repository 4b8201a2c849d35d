"""A device that is worn otherwise than the model has learned is found out, after any crash too."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamer.arrays import Floats
from streamer.contracts.activities import UNKNOWN
from streamer.contracts.events import Reason, Reliability
from streamer.contracts.readings import Record
from streamer.labels.familiarity import is_unfamiliar
from streamer.model.identity import ModelIdentity
from streamer.predict.predictor import Prediction
from streamer.publishing.people import Person
from streamer.settings import Settings
from streamer.testing import CRASH, PAUSE, Published, readings, run_script
from tests.support.scripts import run_in_any_way

WAIST = Settings.load({"model": "waist"})
SECONDS = 24


def walk() -> Floats:
    """(n, 6) an invented person who walks all the time, the phone at the waist."""
    return Person(2).take(50 * SECONDS)[0]


def in_another_orientation(samples: Floats) -> Floats:
    """The same with the phone upside down and its axes in another order, as in a pocket."""
    turn = np.array([[0, -1, 0], [1, 0, 0], [0, 0, 1]])
    return np.concatenate([samples[:, :3] @ turn, samples[:, 3:] @ turn], axis=1)


SCRIPT: list[Record] = [
    record
    for each in zip(
        readings("waist", walk(), batch=25),
        readings("pocket", in_another_orientation(walk()), batch=25),
        strict=True,
    )
    for record in each
]


@pytest.fixture(scope="module")
async def whole() -> Published:
    return await run_script(SCRIPT, settings=WAIST)


async def test_the_device_in_another_orientation_is_found_unfamiliar_and_the_other_one_is_not(
    whole: Published,
) -> None:
    found = {
        name: [event for event in whole.events if event.device_id == name]
        for name in ("waist", "pocket")
    }
    assert not any(is_unfamiliar(event.familiarity) for event in found["waist"])
    last = found["pocket"][-1]
    assert (last.activity, last.reason) == (UNKNOWN, Reason.UNFAMILIAR)
    assert last.reliability is Reliability.UNFAMILIAR
    value = whole.metrics.registry.get_sample_value
    assert value("streamer_unfamiliar_devices") == 1
    assert value("streamer_devices_found_unfamiliar_total") == 1


@settings(max_examples=10, deadline=None)
@given(st.data())
async def test_crashes_and_batches_anywhere_change_no_byte(
    whole: Published, data: st.DataObject
) -> None:
    published = await run_in_any_way(data, SCRIPT, whole, WAIST)
    assert published.metrics.registry.get_sample_value("streamer_unfamiliar_devices") == 1


class Careless:
    """Says how strange the first window is, and nothing of the others."""

    name = "careless"

    async def predict(self, features: Floats) -> Prediction:
        model = ModelIdentity("mine", "1", ("A", "B"), ("walking", "sitting"))
        return Prediction(np.full((len(features), 2), 0.5), model, np.array([0.3]))


async def test_a_predictor_whose_strangeness_does_not_fit_its_windows_is_an_error() -> None:
    with pytest.raises(ExceptionGroup) as failed:
        await run_script(SCRIPT, predictor=Careless())
    assert "an answer has strangeness of shape (1,)" in str(failed.value.exceptions)


async def test_without_smoothing_the_familiarity_survives_a_crash_too(whole: Published) -> None:
    alone = WAIST.model_copy(update={"smoothing": False})
    crashed = await run_script([*SCRIPT[:60], PAUSE, CRASH, *SCRIPT[60:]], settings=alone)
    assert {event.window_id: event.familiarity for event in crashed.events} == {
        event.window_id: event.familiarity for event in whole.events
    }
