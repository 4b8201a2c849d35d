"""The way of readings from any protocol to Kafka: they are checked, counted and written."""

import asyncio
import time
from collections.abc import Sequence
from functools import partial

from streamer.gateway.access import Forbidden
from streamer.gateway.device_rates import DeviceRates, TooMany
from streamer.gateway.reading_queue import Busy, RecordTooLarge
from streamer.gateway.readings_check import (
    Candidate,
    Checked,
    Readable,
    ReadingsCheck,
    Unreadable,
)
from streamer.gateway.readings_writer import ReadingsWriter
from streamer.gateway.token_file import Grant
from streamer.gateway_metrics import GatewayMetrics


class BadReadings(Exception):  # noqa: N818 - it is an answer
    """Readings that the worker would reject.

    Attributes:
        faults: what is wrong, by the number of the reading in its request, from 0.
    """

    def __init__(self, faults: dict[int, Unreadable]) -> None:
        first = next(iter(faults.values()))
        more = f", and {len(faults) - 1} more" if len(faults) > 1 else ""
        super().__init__(f"readings cannot be used: {first.detail}{more}")
        self.faults = faults


class Intake:
    """Takes readings from clients."""

    def __init__(
        self,
        writer: ReadingsWriter,
        check: ReadingsCheck,
        rates: DeviceRates,
        metrics: GatewayMetrics,
    ) -> None:
        self._writer = writer
        self._check = check
        self._rates = rates
        self._metrics = metrics

    async def submit(
        self, protocol: str, grant: Grant, candidates: Sequence[Candidate]
    ) -> "asyncio.Future[None]":
        """Check readings and queue them, all or none; return a future of their acknowledgement.

        Args:
            protocol: one of `gateway_metrics.PROTOCOLS`.
            grant: what the client may do.
            candidates: the readings, in the order in which they are written.

        Raises:
            BadReadings: some of them cannot be read.
            Forbidden: some of them are of a device that the client may not write for.
            TooMany: a device sends too much, or the token has too many devices.
            Busy: there is no room for them, or they cannot be checked now. The future raises as
                `ReadingsWriter.write` does.
            RecordTooLarge: Kafka does not take one of them.
        """
        arrived_s = time.perf_counter()
        readings = self._require_readable(grant, await self._check.check(candidates))
        self._rates.admit(grant.who, [(each.device_id, each.samples) for each in readings])
        future = self._write(readings)
        samples = sum(each.samples for each in readings)
        future.add_done_callback(partial(self._count, protocol, len(readings), samples, arrived_s))
        return future

    async def submit_each(
        self, protocol: str, grant: Grant, candidates: Sequence[Candidate]
    ) -> "list[asyncio.Future[None]]":
        """Check readings together and queue each for itself; return a future for each, in order.

        The futures raise as `submit` and its future do. Readings after the first one for which
        there is no room (`Busy`) are not taken, so that their order is kept: they get no future.
        """
        arrived_s = time.perf_counter()
        try:
            found = await self._check.check(candidates)
        except Busy as error:
            return [_failed(error)]
        futures = list[asyncio.Future[None]]()
        for checked in found:
            try:
                [reading] = self._require_readable(grant, [checked])
                self._rates.admit(grant.who, [(reading.device_id, reading.samples)])
                future = self._write([reading])
            except (BadReadings, Forbidden, TooMany, Busy, RecordTooLarge) as error:
                futures.append(_failed(error))
                if isinstance(error, Busy):
                    break
                continue
            future.add_done_callback(partial(self._count, protocol, 1, reading.samples, arrived_s))
            futures.append(future)
        return futures

    async def wait_room(self) -> None:
        """Wait until readings can be taken, for as long as a reading may wait for Kafka."""
        await self._writer.wait_room()

    def _require_readable(self, grant: Grant, checked: Sequence[Checked]) -> list[Readable]:
        faults = {i: each for i, each in enumerate(checked) if isinstance(each, Unreadable)}
        if faults:
            for fault in faults.values():
                self._metrics.unreadable.labels(fault.reason).inc()
            raise BadReadings(faults)
        readings = [each for each in checked if isinstance(each, Readable)]
        for each in readings:
            if not grant.covers(each.device_id):
                raise Forbidden(f"the token is not good for the device {each.device_id!r:.80}")
        return readings

    def _write(self, readings: list[Readable]) -> "asyncio.Future[None]":
        self._writer.require_room([len(each.value) for each in readings])
        futures = [
            self._writer.submit(each.device_id, each.value, each.headers) for each in readings
        ]
        if len(futures) == 1:
            return futures[0]
        return asyncio.ensure_future(_all(futures))

    def _count(
        self,
        protocol: str,
        readings: int,
        samples: int,
        arrived_s: float,
        done: "asyncio.Future[None]",
    ) -> None:
        if not done.cancelled() and done.exception() is None:
            seconds = time.perf_counter() - arrived_s
            self._metrics.count_accepted(protocol, readings, samples, seconds)


def _failed(error: Exception) -> "asyncio.Future[None]":
    """Return a future that raises an error, and that nobody has to look at."""
    future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    future.set_exception(error)
    future.exception()
    return future


async def _all(futures: "list[asyncio.Future[None]]") -> None:
    """Wait for all futures; raise the first error."""
    if futures:
        await asyncio.wait(futures)
    for future in futures:
        future.result()
