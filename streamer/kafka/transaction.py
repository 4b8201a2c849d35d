"""A transaction that ends in time although no broker answers."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from typing import Final

from aiokafka import AIOKafkaProducer
from aiokafka.errors import IllegalOperation
from aiokafka.structs import RecordMetadata

ABORT_S: Final = 2.0
"""How long to wait until a broker has aborted a transaction. Without an answer it stays open until
the next owner of its transactional id starts, or until the broker's timeout."""


@asynccontextmanager
async def transaction(producer: AIOKafkaProducer) -> AsyncIterator[None]:
    """Commit what is sent in this context, or abort it if the context raises.

    aiokafka's own context waits for the abort without end. A task that waits there has used up its
    cancellation: a `TaskGroup` does not pass on a second one.

    Raises:
        KafkaError: of aiokafka; nothing was committed, unless the answer to the commit was lost.
    """
    context = producer.transaction()
    await context.__aenter__()
    try:
        yield
    except BaseException as error:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(ABORT_S):
                await context.__aexit__(type(error), error, error.__traceback__)
        raise
    await producer.commit_transaction()


@asynccontextmanager
async def name_refusals(sent: "Collection[asyncio.Future[RecordMetadata]]") -> AsyncIterator[None]:
    """Raise why a broker has refused a record, for code that sends records in a transaction.

    aiokafka sends no more once a record of the transaction was refused, and says only that. The
    future of the refused record says why.

    Args:
        sent: the futures of what was sent; the code appends to it.

    Raises:
        KafkaError: of aiokafka, the reason.
    """
    try:
        yield
    except IllegalOperation:
        await asyncio.gather(*sent)
        raise
