"""Loads or compiles all kernels before a worker joins its group.

Compiling takes a minute. If it began with the first records, the worker would not answer its group
during that time. Kernels are kept on disk, so only the first start of a version compiles them.
"""

import asyncio
import threading
import time
from contextlib import suppress

import numpy as np
import structlog

from streamer import kernel_cache
from streamer.contracts.encode import encode
from streamer.contracts.readings import Format
from streamer.features import GRAVITY_FRAME
from streamer.features.window_shape import WINDOW
from streamer.flow.partition_state import PartitionState
from streamer.flow.rejects import RejectLimit
from streamer.kafka.aiokafka_internals import WholeBatch, build_batch
from streamer.kafka.record_batches import unpack
from streamer.labels.smoothing import ForwardFilter
from streamer.metrics import Metrics
from streamer.model import artifact
from streamer.profiles.choose_decoder import load_readers
from streamer.profiles.profile import CONTRACT
from streamer.settings import Settings
from streamer.stream.position import Position

log = structlog.get_logger(__name__)

_SECONDS = 5


def warm_up(readings_format: str = CONTRACT) -> None:
    """Process some seconds of one device with all steps of a partition, to load their kernels.

    It loads the readers of `readings_format` too. If kernels were compiled, it logs how long that
    took, or warns that they cannot be kept.
    """
    begin_s = time.monotonic()
    for form, samples in ((Format.JSON, 1), (Format.JSON, 10), (Format.F32, 10)):
        state = PartitionState(
            Settings(), Metrics(), Position(0, 0), RejectLimit(1, 1, lambda: 0.0), GRAVITY_FRAME
        )
        [records] = unpack([WholeBatch(_batch(form, samples))])
        computed = state.compute(records, len(records))
        assert len(computed.windows) > 0
    if readings_format != CONTRACT:
        load_readers(readings_format)
    model = artifact.load()
    model.probabilities(computed.features)
    if model.familiarity is not None:
        model.familiarity.measure(computed.features)
    ForwardFilter(("walking", "sitting")).update(None, np.ones(2))
    seconds = round(time.monotonic() - begin_s, 1)
    if kernel_cache.not_kept:
        log.warning(
            "kernels were compiled and cannot be kept, so that every start takes this long: make "
            "one of these folders writable, or set NUMBA_CACHE_DIR to a folder that is",
            seconds=seconds,
            folders=[str(error) for error in kernel_cache.not_kept.values()],
        )
    elif kernel_cache.kept:
        folders = sorted(map(str, kernel_cache.kept))
        log.info("kernels were compiled; later starts load them", seconds=seconds, folders=folders)


def _batch(form: Format, samples: int) -> bytes:
    """Return a record batch as a broker sends it."""
    step_ms = WINDOW.step_us / 1000
    rng = np.random.default_rng(0)
    records = []
    for i in range(_SECONDS * WINDOW.rate_hz // samples):
        time_ms = i * samples * step_ms
        # With gravity: windows without it are skipped as implausible.
        values = rng.normal((1, 0, 0, 0, 0, 0), 1, (samples, 6)).round(4)
        interval_ms = None if samples == 1 else step_ms
        key, value, headers = encode("device", time_ms, interval_ms, values, form)
        records.append((round(time_ms), key, value, headers))
    return build_batch(records)


async def warm_up_in_thread(readings_format: str) -> None:
    """Warm up in a daemon thread, so that the event loop runs and the process can end."""
    loop, done = asyncio.get_running_loop(), asyncio.Event()

    def work() -> None:
        try:
            warm_up(readings_format)
        finally:
            # The event loop may be closed by then.
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(done.set)

    threading.Thread(target=work, daemon=True).start()
    await done.wait()


if __name__ == "__main__":
    # One profile is enough: all profiles in JSON share their kernels.
    warm_up("sensor-logger")
