"""Runs a backfill: a worker over a range of old readings, which says how far it is."""

import asyncio
import contextlib
import time
from collections.abc import Mapping
from typing import Final

import structlog
from aiokafka import TopicPartition

from streamer.errors import KafkaError
from streamer.kafka.backfill import Range, prepare, read_progress
from streamer.process import log as logging
from streamer.process.summary import Summary
from streamer.process.worker import run_worker
from streamer.settings import Settings

log = structlog.get_logger(__name__)

REPORT_S: Final = 5.0
"""How often the progress is logged."""


async def run_backfill(settings: Settings, from_ms: int, to_ms: int) -> Summary:
    """Process the readings of a range into the topics of a backfill, from where it has stopped.

    Args:
        settings: see `streamer.kafka.backfill.derive_settings`.
        from_ms: Kafka's time of the first reading.
        to_ms: Kafka's time after the last one.

    Raises:
        StreamerError: an operator must act first.
    """
    logging.configure(settings)
    ranges = await prepare(settings, from_ms, to_ms)
    report = asyncio.create_task(_report_progress(settings, ranges))
    try:
        ends = {partition: part.end for partition, part in ranges.items()}
        return await run_worker(settings, until_end=True, ends=ends)
    finally:
        report.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await report


async def _report_progress(settings: Settings, ranges: Mapping[TopicPartition, Range]) -> None:
    """Log how many records are processed, and the time that the rest will take."""
    began_s = time.monotonic()
    before, _ = await read_progress(settings, ranges)
    while True:
        await asyncio.sleep(REPORT_S)
        with contextlib.suppress(KafkaError):
            done, total = await read_progress(settings, ranges)
            if done > before:
                left_s = (total - done) * (time.monotonic() - began_s) / (done - before)
                log.info("backfilling", records=done, of=total, seconds_left=round(left_s))
