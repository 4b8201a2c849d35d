"""Creates data sources: reads all records once, counts the invalid ones, and describes the rest."""

import asyncio

from streamer.datasets.feature_table import MOST_INVALID
from streamer.prediction_server.amazon_ml.jobs import Outcome
from streamer.prediction_server.amazon_ml.objects import open_object_storage
from streamer.prediction_server.amazon_ml.records import Records, open_records
from streamer.prediction_server.amazon_ml.schema import InvalidDataError
from streamer.prediction_server.amazon_ml.store import Entity
from streamer.prediction_server.amazon_ml.variable_statistics import VariableStatistics

EXAMPLES = 10
"""Invalid records that the log of a data source quotes."""


async def create_data_source(source: Entity) -> Outcome:
    """Check the records of a data source.

    Raises:
        InvalidDataError: the data cannot be read, or more than `MOST_INVALID` records are invalid.
    """
    async with open_object_storage() as storage, open_records(source, storage) as records:
        with_statistics = bool(source.document.get("ComputeStatistics"))
        return await asyncio.to_thread(_describe, records, with_statistics)


def _describe(records: Records, with_statistics: bool) -> Outcome:
    statistics = VariableStatistics(records.schema) if with_statistics else None
    invalid: list[str] = []
    count = invalid_count = 0
    for chunk in records.read():
        count += len(chunk.rows)
        invalid_count += len(chunk.invalid)
        invalid += chunk.invalid[: EXAMPLES - len(invalid)]
        if invalid_count > MOST_INVALID:
            raise InvalidDataError(
                f"more than {MOST_INVALID} records are invalid, such as {invalid[0]}"
            )
        if statistics:
            statistics.add(chunk.rows)
    if not count:
        example = f"; all {invalid_count} are invalid, such as {invalid[0]}" if invalid else ""
        raise InvalidDataError(f"the data source has no valid records{example}")
    log = {"records": count, "invalidRecords": invalid_count, "invalidExamples": invalid}
    if statistics:
        log["statistics"] = statistics.summarize()
    members = {
        "DataSourceSchema": records.schema_text,
        "DataSizeInBytes": records.size,
        "NumberOfFiles": len(records.files),
        "Log": log,
        "Message": f"{count} records, {invalid_count} of them invalid" if invalid else None,
    }
    return Outcome(members)
