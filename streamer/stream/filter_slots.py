"""Filters a device's slots when a window needs them, with both of its chains. Compiled."""

from streamer.compiled import compiled_together
from streamer.features.filter_chains import CHAINS, advance_chains, put_sample, restart_chain
from streamer.stream.devices import NOT_DUE, RING
from streamer.stream.state import State


@compiled_together
def filter_up_to(device: int, end: int, state: State) -> None:
    """Filter a device up to slot ``end`` (exclusive); slot ``end`` has landed."""
    columns, cursor = state.columns, state.cursor
    due = cursor.restart[device]
    if cursor.filtered[device] <= due < end:
        # Up to the epoch first, so that no block crosses it.
        _filter_block(device, due, state)
        chain = cursor.restart_chain[device]
        _lay_out(device, due, 1, state)
        restart_chain(state.chains, device, chain, state.bench, state.filters)
        cursor.start_us[device, chain] = columns.time_us[device, due % RING]
        cursor.restart[device] = NOT_DUE
    _filter_block(device, end, state)


@compiled_together
def _filter_block(device: int, end: int, state: State) -> None:
    """Filter up to slot ``end`` with the chains as they are; both start with a device's first."""
    columns, cursor = state.columns, state.cursor
    first = cursor.filtered[device]
    if first >= end:
        return
    _lay_out(device, first, end - first, state)
    if first == columns.base[device]:
        for chain in range(CHAINS):
            restart_chain(state.chains, device, chain, state.bench, state.filters)
            cursor.start_us[device, chain] = columns.time_us[device, first % RING]
    advance_chains(state.chains, device, end - first, state.bench, state.filters)
    cursor.filtered[device] = end


@compiled_together
def _lay_out(device: int, first: int, n: int, state: State) -> None:
    """Put n median-filtered slots on the bench; the first one of a device is its own neighbour."""
    columns, bench = state.columns, state.bench
    for t in range(n):
        slot = first + t
        before, after = max(slot - 1, columns.base[device]) % RING, (slot + 1) % RING
        for channel in range(columns.values.shape[2]):
            a = columns.values[device, before, channel]
            b = columns.values[device, slot % RING, channel]
            high = min(max(a, b), columns.values[device, after, channel])
            # Of two zeros it is the compiler that chooses; none has a sign after this.
            put_sample(bench, t, channel, max(min(a, b), high) + 0.0)
