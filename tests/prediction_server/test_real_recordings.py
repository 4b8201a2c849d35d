"""A model of real recordings, trained and judged over the protocol of Amazon ML."""

import asyncio
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner

from streamer.cli import main
from streamer.datasets.conversion import convert
from streamer.datasets.feature_sources import read_feature_table
from streamer.datasets.feature_table import InvalidRecords
from tests.support.amazon_ml import AmazonML
from tests.support.s3_server import BUCKET


@pytest.mark.slow
@pytest.mark.timeout(900)
async def test_the_average_f1_of_the_last_30_percent_is_that_of_the_article(
    amazon_ml: AmazonML, har_dir: Path, tmp_path: Path
) -> None:
    def work() -> float:
        table = read_feature_table(har_dir / "RawData", InvalidRecords())
        for file in convert(table, tmp_path, with_subject=True):
            amazon_ml.put(f"har/{file.name}", file.read_bytes())
        data = f"s3://{BUCKET}/har/data.csv"
        for arguments in (("create", "har", "--data", data), ("evaluate", "har", "--json")):
            result = CliRunner().invoke(main, ["amazon-ml", *arguments])
            assert result.exit_code == 0, result.output
        f1: float = msgspec.json.decode(result.stdout)["MulticlassAvgFScore"]
        return f1

    async with amazon_ml.running():
        assert await asyncio.to_thread(work) >= 0.92
