"""The way of readings from any protocol to Kafka: they are checked, then written."""

import asyncio
from collections.abc import Sequence

from streamer.gateway.access import Forbidden
from streamer.gateway.readings_check import Candidate, Readable, ReadingsCheck, Unreadable
from streamer.gateway.readings_writer import ReadingsWriter
from streamer.gateway.token_file import Grant


class BadReadings(Exception):  # noqa: N818 - it is an answer
    """Readings that the worker would reject.

    Attributes:
        faults: what is wrong, by the number of the reading in its request, from 0.
    """

    def __init__(self, faults: dict[int, Unreadable]) -> None:
        super().__init__(f"{len(faults)} readings cannot be used")
        self.faults = faults


class Intake:
    """Takes readings from clients."""

    def __init__(self, writer: ReadingsWriter, check: ReadingsCheck) -> None:
        self._writer = writer
        self._check = check

    async def submit(
        self, grant: Grant, candidates: Sequence[Candidate]
    ) -> "list[asyncio.Future[None]]":
        """Check readings and queue them, all or none; return futures of their acknowledgements.

        Args:
            grant: what the client may do.
            candidates: the readings, in the order in which they are written.

        Raises:
            BadReadings: some of them cannot be read.
            Forbidden: some of them are of a device that the client may not write for.
            Busy: there is no room for them. The futures raise as `ReadingsWriter.write` does.
        """
        readings = await self._checked(grant, candidates)
        return [self._writer.submit(each.device_id, each.value, each.headers) for each in readings]

    async def take(self, grant: Grant, candidates: Sequence[Candidate]) -> None:
        """Check and write readings; return when Kafka has acknowledged all of them.

        Raises:
            Exception: as `submit`, and as `ReadingsWriter.write`.
        """
        futures = await self.submit(grant, candidates)
        if len(futures) == 1:
            await futures[0]
        else:
            await asyncio.gather(*futures)

    async def _checked(self, grant: Grant, candidates: Sequence[Candidate]) -> list[Readable]:
        checked = await self._check.check(candidates)
        faults = {i: each for i, each in enumerate(checked) if isinstance(each, Unreadable)}
        if faults:
            raise BadReadings(faults)
        readings = [each for each in checked if isinstance(each, Readable)]
        for each in readings:
            if not grant.covers(each.device_id):
                raise Forbidden(f"the token is not good for the device {each.device_id!r:.80}")
        return readings
