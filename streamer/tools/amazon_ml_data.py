"""Puts labelled features into S3 for Amazon ML: split by people, with their schema."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import blake2b
from pathlib import Path

from streamer.datasets.conversion import convert
from streamer.datasets.feature_table import FeatureTable
from streamer.datasets.people_split import split_by_people
from streamer.datasets.progress import ReportProgress
from streamer.errors import DataError
from streamer.storage.bucket import BucketStore
from streamer.tools.amazon_ml_life_cycle import DataLocation


def upload_parts(
    table: FeatureTable, share: float, url: str, report: ReportProgress
) -> tuple[DataLocation, DataLocation]:
    """Write the training and the evaluation part of a table, and return where they are.

    The folder has a digest of the data in its name: other data never take the place of those that
    a model has learned from, and the same data are written to the same place.

    Args:
        table: the records.
        share: about this share of the records, 0 to 1, is for training.
        url: the folder to write in, `s3://bucket/folder`.
        report: called with the number of files that are written.

    Raises:
        DataError: the table cannot be split by people.
        StorageError: the bucket does not exist or cannot be written.
    """
    parts = split_by_people(table, share)
    with _written(parts) as folder:
        files = sorted(folder.iterdir())
        digest = blake2b(digest_size=6)
        for file in files:
            digest.update(file.read_bytes())
        target = f"{url.rstrip('/')}/{digest.hexdigest()}"
        store = BucketStore.parse(target)
        for done, file in enumerate(files):
            report("uploading", done, len(files))
            store.write(file.name, file.read_bytes())
        report("uploading", len(files), len(files))
    schema = f"{target}/data.schema"
    training, evaluation = (
        DataLocation(f"{target}/{name}.csv", schema) for name in ("training", "evaluation")
    )
    return training, evaluation


@contextmanager
def _written(parts: tuple[FeatureTable, FeatureTable]) -> Iterator[Path]:
    """Write the parts and the schema to a folder that exists while the context is open."""
    try:
        with tempfile.TemporaryDirectory(prefix="streamer-") as folder:
            for part, name in zip(parts, ("training", "evaluation"), strict=True):
                unnamed = Path(folder) / "unnamed"
                unnamed.mkdir(exist_ok=True)
                data, schema = convert(part, unnamed, with_subject=True)
                data.rename(Path(folder) / f"{name}.csv")
                schema.rename(Path(folder) / "data.schema")
            unnamed.rmdir()
            yield Path(folder)
    except OSError as error:
        raise DataError(
            f"the data cannot be written to a temporary folder: {error.strerror}; free space on "
            "its disk, or set TMPDIR to a folder elsewhere"
        ) from error
