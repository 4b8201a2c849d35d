"""Makes calls of AWS that are repeated until they are answered, and says what they wait for."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

import stamina
import structlog
from botocore import exceptions

from streamer.errors import EndpointError
from streamer.predict import aws_client
from streamer.predict.endpoint_protocol import (
    CallError,
    CallTimeoutError,
    RefusedError,
    RetryableError,
)

log = structlog.get_logger(__name__)

T = TypeVar("T")
Call = Callable[[], Awaitable[T]]

FIRST_RETRY_S: Final = 0.2
LONGEST_RETRY_S: Final = 30.0
JITTER_S: Final = 0.2
CALL_S: Final = 30.0
"""Longest time for a call of Amazon ML, which is not in a hurry."""

_NOT_FOUND: Final = {"ResourceNotFoundException", "NoSuchKey", "404"}


class Troubles:
    """Why batches do not go on; the first reason is reported, and None when there is none.

    Args:
        report: takes the reason, or None.
    """

    def __init__(self, report: Callable[[str | None], None]) -> None:
        self._report = report
        self._reasons: dict[object, str] = {}

    def note(self, batch: object, reason: str) -> None:
        """Note why a batch does not go on."""
        if not self._reasons:
            log.warning("batch predictions do not go on; their windows wait", trouble=reason)
        self._reasons[batch] = reason
        self._report(next(iter(self._reasons.values())))

    def clear(self, batch: object) -> None:
        """Note that a batch goes on."""
        if self._reasons.pop(batch, None) is None:
            return
        self._report(next(iter(self._reasons.values()), None))
        if not self._reasons:
            log.info("batch predictions go on again")


class RetriedCalls:
    """Makes calls, each one until it is answered: windows wait meanwhile.

    Args:
        troubles: is told why a call is repeated.
    """

    def __init__(self, troubles: Troubles) -> None:
        self.troubles = troubles

    async def call(self, call: Call[T], timeout_s: float = CALL_S) -> T:
        """Make a call until it is answered.

        Raises:
            EndpointError: no call can succeed before an operator corrects the set-up.
        """
        batch = object()

        def may_pass(error: Exception) -> bool:
            if isinstance(error, RetryableError):
                self.troubles.note(batch, str(error))
            return isinstance(error, RetryableError)

        try:
            async for attempt in stamina.retry_context(
                on=may_pass,
                attempts=None,
                timeout=None,
                wait_initial=FIRST_RETRY_S,
                wait_max=LONGEST_RETRY_S,
                wait_jitter=JITTER_S,
            ):
                with attempt:
                    return await self.call_once(call, timeout_s)
        except RefusedError as error:
            raise EndpointError(f"Amazon ML refuses a batch prediction: {error}") from error
        finally:
            self.troubles.clear(batch)
        raise AssertionError("the retries have ended without an answer")

    async def call_once(self, call: Call[T], timeout_s: float = CALL_S) -> T:
        """Make a call once.

        Raises:
            CallError: it may succeed later.
            EndpointError: no call can succeed before an operator corrects the set-up.
        """
        try:
            async with asyncio.timeout(timeout_s):
                return await call()
        except TimeoutError:
            raise CallTimeoutError(f"a call has taken longer than {timeout_s:g} s") from None
        except (CallError, EndpointError):
            raise
        except Exception as error:
            raise aws_client.classify_error(error) from error


def is_not_found(error: exceptions.ClientError) -> bool:
    """Return whether a service says that there is no such thing."""
    return error.response.get("Error", {}).get("Code") in _NOT_FOUND
