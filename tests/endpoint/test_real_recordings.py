"""A model of real recordings, trained and judged over the protocol of Amazon ML."""

import asyncio
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner

from streamer.cli import main
from tests.support.amazon_ml import AmazonML
from tests.support.s3_server import BUCKET


@pytest.mark.slow
@pytest.mark.timeout(900)
async def test_the_average_f1_on_people_left_out_is_that_of_the_article(
    amazon_ml: AmazonML, har_dir: Path
) -> None:
    def work() -> float:
        source = ("--source", str(har_dir / "RawData"), "--bucket", f"s3://{BUCKET}/har")
        for arguments in (("create", "har", *source), ("evaluate", "har", "--json")):
            result = CliRunner().invoke(main, ["amazon-ml", *arguments])
            assert result.exit_code == 0, result.output
        f1: float = msgspec.json.decode(result.stdout)["MulticlassAvgFScore"]
        return f1

    async with amazon_ml.running():
        assert await asyncio.to_thread(work) >= 0.92
