"""Writes a table as CSV files, with a schema for Amazon ML.

There is one file `data.csv` with `data.csv.schema`, or several files `data-00001.csv` ... with one
`.schema`. Amazon ML looks for the schema under these names.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

import msgspec

from streamer.datasets.feature_table import LABEL, SUBJECT, VARIABLES, FeatureTable
from streamer.errors import DataError

LabelStyle = Literal["numbers", "names"]
LABEL_STYLES: tuple[LabelStyle, ...] = ("numbers", "names")


def convert(
    table: FeatureTable,
    folder: Path,
    records_per_file: int | None = None,
    labels: LabelStyle = "numbers",
    with_subject: bool = False,
    report: Callable[[int], None] = lambda _: None,
) -> list[Path]:
    """Write a table as CSV files and a schema.

    Args:
        table: the table.
        folder: the folder to write in.
        records_per_file: number of records in each file; one file when None.
        labels: whether to write the labels of the source or their names.
        with_subject: whether to add the subject as the last column.
        report: called with the number of records that were written just now.

    Returns:
        The files, the schema last.

    Raises:
        DataError: the table has no names for its labels, or no subjects.
    """
    lines = _lines(table, _labels(table, labels), _subjects(table) if with_subject else None)
    header = ",".join(_columns(with_subject)) + "\n"
    size = records_per_file or len(table)
    files: list[Path] = []
    for start in range(0, len(table), size):
        piece = range(start, min(start + size, len(table)))
        name = f"data-{len(files) + 1:05d}.csv" if records_per_file else "data.csv"
        files.append(folder / name)
        with files[-1].open("w", encoding="utf-8", newline="\n") as file:
            file.write(header)
            for _ in piece:
                file.write(next(lines))
                report(1)
    files.append(folder / (".schema" if records_per_file else "data.csv.schema"))
    files[-1].write_bytes(
        msgspec.json.format(msgspec.json.encode(amazon_ml_schema(with_subject)), indent=2)
    )
    return files


def amazon_ml_schema(with_subject: bool = False) -> dict[str, Any]:
    """Return the schema of the columns for `CreateDataSourceFromS3` of Amazon ML.

    The subject is excluded: it is for splits by people, and a model must not learn from it.
    """
    types = dict.fromkeys(VARIABLES, "NUMERIC") | dict.fromkeys((LABEL, SUBJECT), "CATEGORICAL")
    return {
        "version": "1.0",
        "targetFieldName": LABEL,
        "dataFormat": "CSV",
        "dataFileContainsHeader": True,
        "attributes": [
            {"fieldName": name, "fieldType": types[name]} for name in _columns(with_subject)
        ],
        "excludedVariableNames": [SUBJECT] if with_subject else [],
    }


def _columns(with_subject: bool) -> list[str]:
    return [LABEL, *VARIABLES, *([SUBJECT] if with_subject else [])]


def _labels(table: FeatureTable, style: LabelStyle) -> list[str]:
    if style == "numbers":
        return table.labels
    if unnamed := {*table.labels} - table.names.keys():
        raise DataError(
            f"the source has no name for label {min(unnamed)!r}: add a line such as '1 WALKING' "
            "to  activity_labels.txt, or leave out --labels names"
        )
    return [table.names[label] for label in table.labels]


def _subjects(table: FeatureTable) -> list[int]:
    if table.subjects is None:
        raise DataError(
            "the source does not say whose windows these are, so --with-subject is not possible; "
            "convert the published data set or recordings"
        )
    subjects: list[int] = table.subjects.tolist()
    return subjects


def _lines(table: FeatureTable, labels: list[str], subjects: list[int] | None) -> Iterator[str]:
    for i, row in enumerate(table.features.tolist()):
        # `repr` is the shortest text that reads back as the same number.
        fields = [labels[i], *map(repr, row)]
        if subjects is not None:
            fields.append(str(subjects[i]))
        yield ",".join(fields) + "\n"
