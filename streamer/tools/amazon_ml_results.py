"""Reads the results of Amazon ML's batch predictions, and checks that they are complete."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from streamer.errors import DataError
from streamer.predict.batch_files import read_lines, read_manifest
from streamer.predict.endpoint_protocol import InvalidAnswerError
from streamer.storage.bucket import BucketStore
from streamer.storage.s3_address import split_address


@dataclass(slots=True)
class BatchResults:
    """The answers to the records of a batch prediction.

    Attributes:
        files: addresses of the files of results.
        records: number of answers.
        invalid: number of records without an answer.
        labels: the classes of the model; none of a regression.
        answers: number of records of each predicted class.
        pairs: number of records of each true and predicted class, where the true one is known.
    """

    files: list[str]
    records: int
    invalid: int
    labels: list[str] = field(default_factory=list)
    answers: Counter[str] = field(default_factory=Counter)
    pairs: Counter[tuple[str, str]] = field(default_factory=Counter)


def read_results(batch: dict[str, Any]) -> BatchResults:
    """Read the results of a complete batch prediction.

    Raises:
        DataError: a file is missing, cut off or malformed.
    """
    output = batch["OutputUri"].rstrip("/")
    manifest_url = f"{output}/batch-prediction/{batch['BatchPredictionId']}.manifest"
    # All results are in one bucket; the keys of its objects are their names in this store.
    bucket, _ = split_address(output)
    store = BucketStore(bucket, prefix="")
    try:
        files = read_manifest(_read(store, manifest_url))
    except InvalidAnswerError as error:
        raise DataError(f"{manifest_url} is not a manifest: {error}") from None
    results = BatchResults(files, 0, int(batch.get("InvalidRecordCount", 0)))
    for file in files:
        _add_file(results, file, _read(store, file))
    expected = batch.get("TotalRecordCount", results.records + results.invalid) - results.invalid
    if results.records != expected:
        raise DataError(
            f"the results in {output} have {results.records} records, and {expected} were "
            "predicted: a file is cut off; predict the batch again"
        )
    return results


def _add_file(results: BatchResults, url: str, content: bytes) -> None:
    try:
        lines = read_lines(content)
    except InvalidAnswerError as error:
        raise DataError(f"{url} is damaged or cut off: {error}; predict the batch again") from None
    header = next(lines, [])
    labels = [name for name in header if name not in {"tag", "trueLabel", "bestAnswer", "score"}]
    results.labels = labels or (["0", "1"] if "bestAnswer" in header else [])
    for row in lines:
        if len(row) != len(header):
            raise DataError(f"{url} is cut off in the line of the record {results.records + 1}")
        results.records += 1
        if not results.labels:
            continue
        found = dict(zip(header, row, strict=True))
        answer = found.get("bestAnswer") or max(labels, key=lambda label: float(found[label]))
        results.answers[answer] += 1
        if "trueLabel" in found:
            results.pairs[found["trueLabel"], answer] += 1


def _read(store: BucketStore, url: str) -> bytes:
    return store.read(url.removeprefix(f"{store.location}/")).content
