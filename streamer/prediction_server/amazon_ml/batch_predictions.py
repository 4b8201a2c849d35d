"""Predicts all records of a data source, and writes the results as the service does.

Under the output address of a batch prediction there are then::

    batch-prediction/ID.manifest            JSON: each input file, and the file of its results
    batch-prediction/result/ID-FILE.csv.gz  a line for each valid record, in the order of the input

The columns of results are `tag` (the row id, if the schema names one), `trueLabel` (the target, if
the schema names one), and those of the model: the score of each class, or `bestAnswer` and `score`
for a binary model, or `score` for a regression. The manifest is written last: it marks the results
as complete.
"""

import asyncio
import csv
import gzip
import io
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import msgspec
import numpy as np

from streamer.arrays import Bools, Floats
from streamer.prediction_server.amazon_ml.jobs import Outcome
from streamer.prediction_server.amazon_ml.objects import explain_disk, open_object_storage
from streamer.prediction_server.amazon_ml.records import (
    Chunk,
    DataFile,
    Records,
    find_columns,
    open_records,
)
from streamer.prediction_server.amazon_ml.schema import DataSchema, InvalidDataError
from streamer.prediction_server.amazon_ml.scorers import Scorer, read_threshold
from streamer.prediction_server.amazon_ml.store import Entity


async def predict_batch(batch: Entity, source: Entity, scorer: Scorer, model: Entity) -> Outcome:
    """Predict the records of a data source.

    Args:
        batch: the batch prediction.
        source: its data source.
        scorer: the model, to score records.
        model: the entity of the model.

    Raises:
        InvalidDataError: the records cannot be read, or the results cannot be written.
    """
    folder = batch.request["OutputUri"].rstrip("/") + "/batch-prediction"
    manifest: dict[str, str] = {}
    total = invalid = 0
    async with open_object_storage() as storage, open_records(source, storage) as records:
        find_columns(scorer.variables, records.schema.names)
        writer = _ResultWriter(records, scorer, read_threshold(model))
        try:
            with tempfile.TemporaryDirectory(prefix="streamer-amazon-ml-") as results:
                for file, chunks in records.read_files():
                    name = _name_result(batch.id, file)
                    path = Path(results) / "result"
                    valid, wrong = await writer.write(path, chunks)
                    total, invalid = total + valid + wrong, invalid + wrong
                    manifest[file.object.url] = f"{folder}/result/{name}"
                    await storage.upload(path, manifest[file.object.url])
        except OSError as error:
            raise InvalidDataError(explain_disk(error)) from error
        await storage.write(msgspec.json.encode(manifest), f"{folder}/{batch.id}.manifest")
    return Outcome({"TotalRecordCount": total, "InvalidRecordCount": invalid})


class _ResultWriter:
    """Writes files of results."""

    def __init__(self, records: Records, scorer: Scorer, threshold: float) -> None:
        self._schema = records.schema
        self._scorer = scorer
        self._threshold = threshold

    async def write(self, path: Path, chunks: Iterator[Chunk]) -> tuple[int, int]:
        """Write the results of the records of a file; return numbers of valid and invalid ones."""
        valid = invalid = 0
        # The bytes depend on the results alone, so that a job that is done again writes the same.
        with path.open("wb") as raw, gzip.GzipFile("", "wb", mtime=0, fileobj=raw) as file:
            self._write_lines(file, [name_columns(self._schema, self._scorer)])
            while (chunk := await asyncio.to_thread(next, chunks, None)) is not None:
                scores, fine = await self._scorer.score(self._schema.names, chunk.rows)
                await asyncio.to_thread(self._write_chunk, file, chunk.rows, scores, fine)
                valid += len(scores)
                invalid += len(chunk.invalid) + int((~fine).sum())
        return valid, invalid

    def _write_chunk(
        self, file: gzip.GzipFile, rows: list[list[str]], scores: Floats, fine: Bools
    ) -> None:
        kept = [self._copied(rows[i]) for i in np.flatnonzero(fine)]
        answers = format_scores(self._scorer, scores, self._threshold)
        lines = [[*own, *answer] for own, answer in zip(kept, answers, strict=True)]
        self._write_lines(file, lines)

    def _copied(self, row: list[str]) -> list[str]:
        copied = (self._schema.row_id, self._schema.target)
        return [row[self._schema.names.index(name)] for name in copied if name is not None]

    def _write_lines(self, file: gzip.GzipFile, lines: list[list[str]]) -> None:
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows(lines)
        file.write(text.getvalue().encode())


def name_columns(schema: DataSchema, scorer: Scorer) -> list[str]:
    """Return the header of results."""
    copied = [("tag", schema.row_id), ("trueLabel", schema.target)]
    names = [name for name, column in copied if column is not None]
    match scorer.kind:
        case "MULTICLASS":
            return [*names, *scorer.labels]
        case "BINARY":
            return [*names, "bestAnswer", "score"]
        case _:
            return [*names, "score"]


def format_scores(scorer: Scorer, scores: Floats, threshold: float) -> list[list[str]]:
    """Return the columns of the model for each record."""
    answers = [[repr(score) for score in row] for row in scores.tolist()]
    if scorer.kind == "BINARY":
        best = ["1" if score >= threshold else "0" for score in scores[:, 0]]
        return [[answer, *row] for answer, row in zip(best, answers, strict=True)]
    return answers


def _name_result(id: str, file: DataFile) -> str:  # noqa: A002 - as the service says
    name = os.path.basename(file.object.key).removesuffix(".gz")  # noqa: PTH119 - no path
    return f"{id}-{name}.gz"
