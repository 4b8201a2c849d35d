"""Rebuilds a partition's state from the log, without publishing anything."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import Executor

from streamer.contracts.records import Records
from streamer.contracts.segments import PublishedEvent
from streamer.flow.compute_thread import compute_in
from streamer.flow.interfaces import ReplayLog
from streamer.flow.partition_state import PartitionState
from streamer.flow.record_failure import blaming
from streamer.labels.labelling import find_last_events
from streamer.stream.position import Position

ReadLastEvents = Callable[[Mapping[str, int], int], Awaitable[Sequence[PublishedEvent]]]
"""Reads back the last event of devices: the start of the window looked for (ms) by device, and how
many events to go back at most."""


async def recover(
    log: ReplayLog,
    state: PartitionState,
    position: Position,
    cpu: Executor,
    report: Callable[[int, int], None],
    read_last_events: ReadLastEvents,
) -> int:
    """Rebuild the state that a partition had at a position.

    The records from `position.low` to `position.next` are read again. Labels continue from the last
    event of each device, which was published before.

    Args:
        log: the partition. Afterwards it is anywhere between the two offsets.
        state: new ones for this position; the state is put into them.
        position: the committed one.
        cpu: where to compute.
        report: is told how many records were read again just now, and how many are left.
        read_last_events: reads published events back.

    Returns:
        For how many devices the last event was not found: their labels start without a memory.

    Raises:
        RecordsError: our own code has failed on records.
    """

    async def replay(records: Records) -> None:
        with blaming(records):
            await compute_in(cpu, state.replay, records)

    start = position.low
    # No fetch crosses the stored position: windows that are closed after it are kept.
    ends = {
        *position.flushed,
        position.next,
        *([] if position.stored is None else [position.stored]),
    }
    for end in sorted(ends):
        # What lies beyond the end of the output is fetched again later.
        log.seek(start)
        while log.next < end and not log.stopped:
            records = (await log.fetch_some()).before(end)
            if len(records):
                await replay(records)
            report(len(records), max(0, position.next - log.next))
        if end in position.flushed:
            state.replay_flush(end)
        start = end
    if log.stopped:
        return 0
    rebuilt = state.rebuilt
    events = await read_last_events(rebuilt.last_ms, state.most_events_back)
    last = find_last_events(events, rebuilt.last_ms)
    state.labels.restore({device_id: published.event for device_id, published in last.items()})
    state.segments.restore(
        {key: published for key, published in last.items() if key not in rebuilt.ended}
    )
    return len(rebuilt.last_ms) - len(last)
