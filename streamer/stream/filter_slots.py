"""Filters a device's slots when a window needs them, with both of its chains. Compiled."""

from streamer.compiled import compiled_inline, compiled_together
from streamer.features.filter_chains import CHAINS, advance_chains, put_sample, restart_chain
from streamer.stream.device_columns import NOT_DUE
from streamer.stream.state import State


@compiled_together
def filter_up_to(device: int, end: int, state: State) -> None:
    """Filter a device up to slot ``end`` (exclusive); slot ``end`` has landed."""
    cursor, row = state.cursor, state.places.chain[device]
    due = cursor.restart[device]
    if cursor.filtered[device] <= due < end:
        # Up to the epoch first, so that no block crosses it.
        _filter_block(device, due, state)
        chain = cursor.restart_chain[device]
        _lay_out(device, due, 1, state)
        restart_chain(state.rings.chains, row, chain, state.bench, state.filters)
        cursor.start_us[device, chain] = _time_of(device, due, state)
        cursor.restart[device] = NOT_DUE
    _filter_block(device, end, state)


@compiled_together
def _filter_block(device: int, end: int, state: State) -> None:
    """Filter up to slot ``end`` with the chains as they are; both start with a device's first."""
    cursor, row = state.cursor, state.places.chain[device]
    first = cursor.filtered[device]
    if first >= end:
        return
    _lay_out(device, first, end - first, state)
    if first == state.columns.base[device]:
        for chain in range(CHAINS):
            restart_chain(state.rings.chains, row, chain, state.bench, state.filters)
            cursor.start_us[device, chain] = _time_of(device, first, state)
    advance_chains(state.rings.chains, row, end - first, state.bench, state.filters)
    cursor.filtered[device] = end


@compiled_together
def _lay_out(device: int, first: int, n: int, state: State) -> None:
    """Put n median-filtered slots on the bench; the first one of a device is its own neighbour."""
    base, values = state.columns.base[device], state.rings.values
    at, mask = state.places.at[device], state.places.mask[device]
    for t in range(n):
        slot = first + t
        before, here = at + (max(slot - 1, base) & mask), at + (slot & mask)
        after = at + ((slot + 1) & mask)
        for channel in range(values.shape[1]):
            a, b = values[before, channel], values[here, channel]
            high = min(max(a, b), values[after, channel])
            # Of two zeros it is the compiler that chooses; none has a sign after this.
            put_sample(state.bench, t, channel, max(min(a, b), high) + 0.0)


@compiled_inline
def _time_of(device: int, slot: int, state: State) -> int:
    places = state.places
    return int(state.rings.time_us[places.at[device] + (slot & places.mask[device])])
