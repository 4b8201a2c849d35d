"""Invented tables of labelled features, and the published data set's layout of them."""

import zipfile
from pathlib import Path

import numpy as np

from streamer.datasets.feature_table import FeatureTable
from streamer.features import NAMES

ACTIVITIES = {"1": "WALKING", "2": "SITTING", "3": "ROWING"}


def table_of(n: int, people: int = 3, seed: int = 0) -> FeatureTable:
    """The first feature tells the labels apart, the others tell nothing."""
    rng = np.random.default_rng(seed)
    classes = np.arange(n) % len(ACTIVITIES)
    features = rng.normal(0, 0.3, (n, len(NAMES)))
    features[:, 0] += 2 * classes
    labels = [list(ACTIVITIES)[i] for i in classes]
    return FeatureTable(features.round(6), labels, np.arange(n) % people + 1, ACTIVITIES)


def write_published(folder: Path, table: FeatureTable, split: int) -> Path:
    """Write a table as the published data set has it, the first `split` records as `train`."""
    assert table.subjects is not None
    for name, rows in (("train", slice(split)), ("test", slice(split, None))):
        (folder / name).mkdir(parents=True)
        # Wide fields in the notation of the published files.
        np.savetxt(folder / name / f"X_{name}.txt", table.features[rows], "%16.7e")
        (folder / name / f"y_{name}.txt").write_text("\n".join(table.labels[rows]) + "\n")
        np.savetxt(folder / name / f"subject_{name}.txt", table.subjects[rows], "%d")
    names = "".join(f"{label} {name}\n" for label, name in table.names.items())
    (folder / "activity_labels.txt").write_text(names)
    return folder


def zipped(folder: Path, archive: Path) -> Path:
    """Zip a folder, with its name."""
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as out:
        for path in sorted(folder.rglob("*")):
            out.write(path, path.relative_to(folder.parent))
    return archive
