from pathlib import Path

from streamer.model.artifact import WAIST_MODEL
from streamer.prediction_server.served_model import load_served_model
from streamer.settings import Settings


def test_a_shipped_model_is_served_by_its_name() -> None:
    by_name = load_served_model(Path(WAIST_MODEL.stem), Settings().activities)
    by_file = load_served_model(WAIST_MODEL, Settings().activities)
    assert (by_name.id, by_name.changed) == (by_file.id, by_file.changed)
