"""Runs several workers on one machine: keeps their processes running, and serves one HTTP port.

The workers are members of one consumer group and share nothing. The supervisor starts them,
replaces those that end or hang, and serves their metrics on one page, with a label `worker`.
"""

import asyncio

import structlog
from aiohttp import ClientSession

from streamer.errors import StreamerError
from streamer.process import log as logging
from streamer.process.fleet_pages import FleetPages
from streamer.process.http import metrics_url, serve_pages
from streamer.process.summary import Summary
from streamer.process.worker import announce, handle_signals
from streamer.process.worker_process import WorkerProcess
from streamer.settings import Settings

log = structlog.get_logger(__name__)


async def supervise(settings: Settings, workers: int, *, until_end: bool = False) -> Summary:
    """Keep workers running until the end or a signal.

    Args:
        settings: those of each worker, except for the port, which is the supervisor's.
        workers: how many.
        until_end: each worker ends when the group has processed what was in the topic at the start.

    Returns:
        What the workers have done together, without those that were killed.

    Raises:
        StreamerError: a worker has failed again and again.
    """
    logging.configure(settings)
    stopping = asyncio.Event()
    handle_signals(stopping)
    announce(settings)
    async with ClientSession() as session:
        members = [
            WorkerProcess(number, settings, session, until_end=until_end)
            for number in range(workers)
        ]
        async with serve_pages(settings, FleetPages(members)) as port:
            log.info("supervising", workers=workers, metrics=metrics_url(settings, port))
            try:
                async with asyncio.TaskGroup() as tasks:
                    for member in members:
                        tasks.create_task(member.keep_running(stopping))
            except* StreamerError as errors:
                raise errors.exceptions[0] from None
    summary = sum((member.summary for member in members), Summary())
    summary.write_log()
    log.info("all workers have ended")
    return summary
