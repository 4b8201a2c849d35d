"""The records of a data source, as they are read from its files."""

import gzip
import tracemalloc
from pathlib import Path

import pytest

from streamer.prediction_server.amazon_ml.objects import S3Object
from streamer.prediction_server.amazon_ml.records import DataFile, Records
from streamer.prediction_server.amazon_ml.schema import DataSchema, Splitting
from tests.support.amazon_ml import schema

TEXT = schema({"colour": "CATEGORICAL", "width": "NUMERIC"})


@pytest.mark.parametrize("key", ["data.csv", "data.csv.gz"])
def test_a_line_without_end_is_an_invalid_record_and_does_not_fill_the_memory(
    tmp_path: Path, key: str
) -> None:
    size = 20_000_000
    content = b"red,1\n" + b"x" * (size - 1) + b"\nblue,2\n" + b"y" * size
    path = tmp_path / "0"
    path.write_bytes(gzip.compress(content, 1) if key.endswith(".gz") else content)
    file = DataFile(S3Object("bucket", key, path.stat().st_size), path)
    records = Records(DataSchema.parse(TEXT), TEXT, (file,), Splitting.parse(None), 4)
    del content

    tracemalloc.start()
    try:
        [chunk] = records.read()
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < size / 4
    assert chunk.rows == [["red", "1"], ["blue", "2"]]
    fault = f"{size} bytes, a record may have 100000"
    assert chunk.invalid == [f"s3://bucket/{key}, line {line}: {fault}" for line in (2, 4)]
