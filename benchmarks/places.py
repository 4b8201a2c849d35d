"""Judges the way in which the default model was learned, by place, and with phones in any way.

    STREAMER_HAR_DIR=... STREAMER_DEVICES_DIR=... python benchmarks/places.py [--features NAME]

Everybody is judged by models that have not seen them. Every recording is judged twice: as it is,
and turned as a whole into a random orientation, which nothing was learned from.

STREAMER_HAR_DIR has the folder RawData of the public download, STREAMER_DEVICES_DIR the file
motionsense.npz: an array (n, 9) for each recording, `dws_1_sub01` for instance, with gravity in g,
rotation in rad/s and user acceleration in g, as CoreMotion gives them. Takes some minutes.
"""

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import click
import msgspec
import numpy as np
from scipy.spatial.transform import Rotation

from streamer.datasets.class_names import order_classes
from streamer.datasets.labelled_windows import UNLABELLED, LabelledWindows, cut_recordings
from streamer.datasets.public_recordings import read_labelled_recordings
from streamer.datasets.recording import Recording, Segment
from streamer.features import GRAVITY_FRAME, find_feature_set
from streamer.training.cross_validation import cross_validate
from streamer.training.judgement import judge
from streamer.training.variation import IN_ANY_ORIENTATION, make_copies

ACTIVITIES = {
    "dws": "walking_downstairs",
    "ups": "walking_upstairs",
    "wlk": "walking",
    "jog": "jogging",
    "sit": "sitting",
    "std": "standing",
}


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


def read_waist() -> Iterator[Recording]:
    """Read the public data set."""
    for each in read_labelled_recordings(Path(os.environ["STREAMER_HAR_DIR"], "RawData")):
        yield replace(
            each,
            device_id=f"hapt/{each.device_id}",
            subject=f"hapt/{each.subject}",
            place="waist",
        )


def read_pocket() -> Iterator[Recording]:
    """Read MotionSense."""
    arrays = np.load(Path(os.environ["STREAMER_DEVICES_DIR"], "motionsense.npz"))
    for name in arrays.files:
        label, _trial, subject = name.split("_")
        values = arrays[name].astype(np.float64)
        # CoreMotion's acceleration has the opposite sign of what an accelerometer measures.
        samples = np.concatenate([-(values[:, :3] + values[:, 6:9]), values[:, 3:6]], axis=1)
        segments = (Segment(ACTIVITIES[label], 0, len(samples)),)
        person = f"motionsense/{int(subject.removeprefix('sub'))}"
        yield Recording(f"motionsense/{name}", person, samples, segments, "pocket")


def turn(recording: Recording, rng: np.random.Generator) -> Recording:
    """Put the device into another orientation for the whole recording."""
    rotation = Rotation.random(random_state=rng)
    acc, gyro = np.split(recording.acc_gyro, 2, axis=1)
    samples = np.concatenate([rotation.apply(acc), rotation.apply(gyro)], axis=1)
    return replace(recording, device_id=f"turned/{recording.device_id}", acc_gyro=samples)


if __name__ == "__main__":
    main()
