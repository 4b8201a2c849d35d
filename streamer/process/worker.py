"""Runs one worker: opens its model and its HTTP port, handles signals, and joins the group."""

import asyncio
import os
import signal
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from typing import TYPE_CHECKING

import structlog
from aiokafka import TopicPartition
from prometheus_client import ProcessCollector

from streamer import __version__
from streamer.errors import KafkaError, TopicError
from streamer.health import Health
from streamer.kafka import topics
from streamer.kafka.member import GroupMember, run_until_stopped
from streamer.metrics import Metrics
from streamer.predict.factory import open_batch_predictor
from streamer.predict.open_models import open_models
from streamer.process import log as logging
from streamer.process.http import WorkerPages, metrics_url, serve_pages
from streamer.process.memory import collect_garbage_rarely, keep_freed_memory
from streamer.process.summary import Summary
from streamer.process.warm_up import warm_up_in_thread
from streamer.settings import Settings
from streamer.settings.service_links import links_named_like
from streamer.settings.sources import ENV_PREFIX

if TYPE_CHECKING:
    from streamer.predict.shadow import Publish

log = structlog.get_logger(__name__)


async def run_worker(
    settings: Settings,
    *,
    until_end: bool = False,
    ends: Mapping[TopicPartition, int] | None = None,
    on_port: Callable[[int], None] = lambda _: None,
) -> Summary:
    """Run a worker until the end of the topic, a signal, or an error that needs an operator.

    Args:
        settings: the settings of the worker.
        until_end: end when the group has processed what was in the topic at the start.
        ends: with ``until_end``, where partitions end for it, if not where they end now.
        on_port: is called with the port on which metrics are served.

    Returns:
        The summary, which is logged too, also when an error is raised.

    Raises:
        StreamerError: an operator must act first.
    """
    logging.configure(settings)
    keep_freed_memory()
    collect_garbage_rarely()
    stopping = asyncio.Event()
    handle_signals(stopping)
    announce(settings)
    metrics, health = Metrics(), Health(time.monotonic)
    ProcessCollector(registry=metrics.registry)
    health.show_in(metrics)
    metrics.worker.labels(settings.group_id, settings.readings_topic).set(1)
    try:
        async with (
            AsyncExitStack() as stack,
            open_models(settings, metrics, health, _open_disagreements) as models,
            open_batch_predictor(settings, metrics, health.endpoint) as batches,
            serve_pages(settings, WorkerPages(metrics, health)) as port,
        ):
            if settings.otlp_endpoint is not None:
                from streamer.process.telemetry import open_telemetry  # noqa: PLC0415 - an extra

                stack.enter_context(open_telemetry(settings, metrics))
            on_port(port)
            await run_until_stopped(stopping, warm_up_in_thread(settings.readings_format))
            log.info("working", metrics=metrics_url(settings, port))
            await run_until_stopped(stopping, _prepare_topics(settings))
            await GroupMember(
                settings,
                metrics,
                health,
                models,
                stopping,
                feature_set=models.feature_set,
                until_end=until_end,
                ends=ends,
                batches=batches,
            ).run()
    finally:
        summary = Summary.of(metrics, health)
        if health.was_connected:
            summary.write_log()
            if trouble := health.trouble():
                log.warning("the worker ended with an unsolved problem", trouble=trouble)
    log.info("done")
    return summary


def _open_disagreements(settings: Settings) -> AbstractAsyncContextManager["Publish"]:
    from streamer.kafka.disagreements import open_disagreements  # noqa: PLC0415 - for a shadow

    return open_disagreements(settings)


def announce(settings: Settings) -> None:
    """Log which program starts, and for which group and topics."""
    log.info(
        "starting",
        version=__version__,
        group=settings.group_id,
        readings_topic=settings.readings_topic,
        output_topics=settings.output_topics,
        brokers=settings.bootstrap_servers,
    )
    for variable in links_named_like(set(Settings.model_fields), ENV_PREFIX):
        log.warning(
            "ignored a variable that Kubernetes has set for a Service and that is also a setting",
            variable=variable,
            remedy="rename the Service, or set enableServiceLinks: false in the pod",
        )


async def _prepare_topics(settings: Settings) -> None:
    """Create missing topics, warn of unsuitable ones, and refuse those that would lose data.

    Raises:
        TopicError: a topic is set up so that data would be lost.
    """
    if settings.create_topics:
        for name in await topics.ensure(settings):
            log.warning(
                "created a topic that did not exist; if its name is misspelt, delete it, and set "
                "create_topics to false",
                topic=name,
            )
    else:
        await topics.require(settings)
    try:
        findings = await topics.check(settings)
    except KafkaError as error:
        # A worker is often not allowed to read the configuration of topics.
        log.warning(
            "the configuration of the topics was not checked; `streamer topics check` needs a user "
            "with the right DescribeConfigs",
            error=str(error),
        )
        return
    for found in findings:
        if found.severity == "warning":
            log.warning(found.problem, topic=found.topic, remedy=found.remedy)
    if errors := [found for found in findings if found.severity == "error"]:
        raise TopicError(
            "\n".join(f"{found.topic}: {found.problem}; {found.remedy}" for found in errors)
        )


def handle_signals(stopping: asyncio.Event) -> None:
    """Let SIGTERM or Ctrl-C set the event, and a second Ctrl-C end the process at once."""
    loop = asyncio.get_running_loop()

    def drain() -> None:
        log.info("stopping: committing what is in progress; Ctrl-C again ends at once")
        loop.add_signal_handler(signal.SIGINT, os._exit, 130)
        stopping.set()

    loop.add_signal_handler(signal.SIGINT, drain)
    loop.add_signal_handler(signal.SIGTERM, drain)
