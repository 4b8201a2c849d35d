"""Connects clients to Kafka with the options of the settings, and waits for a broker."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import stamina
import structlog
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import (
    IllegalSaslStateError,
    KafkaConnectionError,
    NodeNotReadyError,
    RequestTimedOutError,
    UnsupportedSaslMechanismError,
)
from aiokafka.errors import KafkaError as AIOKafkaError

from streamer.errors import KafkaError
from streamer.kafka.aiokafka_internals import (
    bootstrap_addresses,
    bootstrap_connections,
    find_refused_login,
    inner_client,
)
from streamer.kafka.obstacles import find_obstacle
from streamer.kafka.security import security_options
from streamer.settings import Settings

log = structlog.get_logger(__name__)

_FIRST_WAIT_S = 0.2
_LONGEST_WAIT_S = 5.0
_CLOSE_S = 3.0

ANSWER_S = 10.0
"""How long brokers are asked when none of them answers."""

Answer = TypeVar("Answer")
Client = TypeVar("Client", AIOKafkaConsumer, AIOKafkaProducer, AIOKafkaAdminClient)


def flatten_causes(error: BaseException) -> list[BaseException]:
    """Return the single errors in an error, which may be a group of several."""
    if isinstance(error, BaseExceptionGroup):
        return [cause for part in error.exceptions for cause in flatten_causes(part)]
    return [error]


def is_kafka_error(error: BaseException) -> bool:
    """Return whether an error has to do with Kafka, and with nothing else."""
    return all(isinstance(cause, AIOKafkaError) for cause in flatten_causes(error))


def client_options(settings: Settings) -> dict[str, Any]:
    """Return addresses, login and what is passed on, as keyword arguments of aiokafka's clients.

    Raises:
        SettingsError: a file of certificates or secrets cannot be used.
    """
    return {
        "bootstrap_servers": settings.bootstrap_servers,
        **settings.kafka,
        **security_options(settings),
    }


def transactional_id(settings: Settings, partition: TopicPartition) -> str:
    """Return the transactional id of whoever writes the output of a partition of the readings."""
    return f"{settings.group_id}-{partition.topic}-{partition.partition}"


@asynccontextmanager
async def connect(
    make: Callable[[], Client], patience_s: float | None = None
) -> AsyncIterator[Client]:
    """Start a client and stop it at the end. The start is repeated while no broker answers.

    Args:
        make: makes the client; each try needs a new one.
        patience_s: how long to try; None for no end.

    Raises:
        KafkaError: no broker has answered in that time, or one refuses the login.
    """
    client = await _started(make, patience_s)
    try:
        yield client
    finally:
        await _stop(client)


async def ask(question: Callable[[], Awaitable[Answer]]) -> Answer:
    """Ask the brokers a question; if one does not answer, ask another one.

    aiokafka's admin client may ask a broker that has just died.

    Raises:
        KafkaError: of aiokafka, if no broker has answered for `ANSWER_S`.
    """
    async for attempt in stamina.retry_context(
        on=(NodeNotReadyError, KafkaConnectionError, RequestTimedOutError),
        attempts=None,
        timeout=ANSWER_S,
        wait_initial=0.05,
        wait_max=0.5,
    ):
        with attempt:
            return await question()
    raise AssertionError("it returns or raises")


async def explain_unreachable(client: Client) -> str:
    """Return which brokers have names that cannot be resolved here; empty if there are none.

    Clients connect to the names that brokers give of themselves (``advertised.listeners``), not to
    the address that they were given.
    """
    loop, unknown = asyncio.get_running_loop(), []
    for broker in inner_client(client).cluster.brokers():
        try:
            await loop.getaddrinfo(broker.host, broker.port)
        except OSError:
            unknown.append(f"{broker.host}:{broker.port}")
    if not unknown:
        return ""
    return (
        f"; the brokers advertise {', '.join(sorted(unknown))}, a name that cannot be resolved "
        "here: add it to DNS, or change advertised.listeners of the brokers"
    )


async def _started(make: Callable[[], Client], patience_s: float | None) -> Client:
    try:
        async with asyncio.timeout(patience_s):
            async for attempt in stamina.retry_context(
                on=KafkaConnectionError,
                attempts=None,
                timeout=None,
                wait_initial=_FIRST_WAIT_S,
                wait_max=_LONGEST_WAIT_S,
            ):
                client = make()
                with attempt:
                    return await _start(client)
    except TimeoutError:
        raise KafkaError(
            f"no Kafka broker has answered at {bootstrap_addresses(client)} within "
            f"{patience_s:g} s: {await find_obstacle(*bootstrap_connections(client))}"
        ) from None
    raise AssertionError("it tries without end")


async def _start(client: Client) -> Client:
    try:
        await client.start()
    except BaseException as error:
        # It holds connections open even if it has not started.
        await _stop(client)
        if isinstance(error, KafkaConnectionError):
            if refused := await find_refused_login(client):
                raise KafkaError(_explain_refusal(*refused)) from None
            log.warning(
                "no Kafka broker answers, trying again",
                brokers=bootstrap_addresses(client),
                hint=await find_obstacle(*bootstrap_connections(client)),
            )
        raise
    return client


def _explain_refusal(broker: str, error: AIOKafkaError) -> str:
    remedy = "check sasl_username and sasl_password"
    if isinstance(error, UnsupportedSaslMechanismError):
        remedy = "check sasl_mechanism"
    elif isinstance(error, IllegalSaslStateError):
        remedy = "check security_protocol: this listener has no login"
    return f"the Kafka broker at {broker} refuses the login ({error}); {remedy}"


async def _stop(client: Client) -> None:
    try:
        async with asyncio.timeout(_CLOSE_S):
            if isinstance(client, AIOKafkaAdminClient):
                await client.close()
            else:
                await client.stop()
    except TimeoutError:
        log.warning("a broker does not answer, so a client was closed without leaving in order")
    except asyncio.CancelledError:
        # A consumer that had no time to start its tasks lets their cancellation out of `stop`.
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise
