"""Judges the training of the default model by place, and with phones in random orientations.

    STREAMER_HAR_DIR=... STREAMER_DEVICES_DIR=... python benchmarks/places.py [--features NAME]

Each person is judged by models that were trained without this person. Each recording is judged
twice: as it is, and turned as a whole into a random orientation. Turned recordings are not used for
training.

`benchmarks/public_recordings.py` says which files the two folders have. It takes some minutes.
"""

import sys
from dataclasses import replace
from pathlib import Path

import click
import msgspec
import numpy as np
from scipy.spatial.transform import Rotation

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.public_recordings import read_pocket, read_waist
from streamer.datasets.class_names import order_classes
from streamer.datasets.labelled_windows import UNLABELLED, LabelledWindows, cut_recordings
from streamer.datasets.recording import Recording
from streamer.features import GRAVITY_FRAME, find_feature_set
from streamer.training.cross_validation import cross_validate
from streamer.training.judgement import judge
from streamer.training.variation import IN_ANY_ORIENTATION, make_copies


@click.command
@click.option("--features", default=GRAVITY_FRAME.name, show_default=True, help="A feature set.")
def main(features: str) -> None:
    """Print macro-F1 and calibration error of each place, as it lies and turned, as JSON lines."""
    feature_set = find_feature_set(features, "1")
    if feature_set is None:
        raise click.UsageError(f"there is no feature set {features}")
    recordings = [*read_waist(), *read_pocket()]
    windows = cut_recordings(
        recordings,
        make_copies=lambda each, rng: make_copies(each, rng, IN_ANY_ORIENTATION),
        feature_set=feature_set,
    )
    rng = np.random.default_rng(4)
    turned = cut_recordings([turn(each, rng) for each in recordings], feature_set=feature_set)
    everything = LabelledWindows.joined([windows, turned])
    is_turned = np.arange(len(everything)) >= len(windows)
    # Nothing is learned from windows without a label.
    learned = replace(everything, truths=np.where(is_turned, UNLABELLED, everything.truths))
    held_out = cross_validate(learned, order_classes(windows.truths.tolist()), "blend")
    originals = everything.copies == 0
    judged = everything.of(originals)
    for way, rows in (("as it lies", ~is_turned[originals]), ("turned", is_turned[originals])):
        for place in ("waist", "pocket"):
            chosen = rows & (judged.places == place)
            found = judge(judged.of(chosen), held_out.activities, held_out.scores[chosen])
            assert found.smoothed_confusion is not None
            figures = {
                "benchmark": "places",
                "place": place,
                "phone": way,
                "macro_f1": round(found.window_confusion.macro_f1, 4),
                "smoothed_macro_f1": round(found.smoothed_confusion.macro_f1, 4),
                "calibration_error": round(found.calibration_error, 4),
            }
            click.echo(msgspec.json.encode(figures).decode())


def turn(recording: Recording, rng: np.random.Generator) -> Recording:
    """Put the device into another orientation for the whole recording."""
    rotation = Rotation.random(random_state=rng)
    acc, gyro = np.split(recording.acc_gyro, 2, axis=1)
    samples = np.concatenate([rotation.apply(acc), rotation.apply(gyro)], axis=1)
    return replace(recording, device_id=f"turned/{recording.device_id}", acc_gyro=samples)


if __name__ == "__main__":
    main()
