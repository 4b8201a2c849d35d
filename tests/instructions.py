"""Counts the instructions that this process executes, where Linux and the machine let it."""

import ctypes
import os
import platform
import struct
import time
from collections.abc import Callable
from enum import StrEnum
from functools import cache

PERF_EVENT_OPEN = {"x86_64": 298, "aarch64": 241}
ATTRIBUTES = 128
HARDWARE, INSTRUCTIONS = 0, 1
NO_KERNEL, NO_HYPERVISOR = 1 << 5, 1 << 6


class Unit(StrEnum):
    """What costs are counted in."""

    INSTRUCTIONS = "instructions"
    SECONDS = "seconds of the processor"


@cache
def meter() -> tuple[Unit, Callable[[], float]]:
    """A count that grows with work: of instructions, or else of processor time."""
    counter = _open()
    if counter is None:
        return Unit.SECONDS, time.process_time
    return Unit.INSTRUCTIONS, lambda: float(struct.unpack("<Q", os.read(counter, 8))[0])


def _open() -> int | None:
    """A file to read the count of this thread's instructions from; None where there is none."""
    call = PERF_EVENT_OPEN.get(platform.machine())
    if platform.system() != "Linux" or call is None:
        return None
    # struct perf_event_attr: type, size, config, period, sample and read format, flags.
    wanted = struct.pack(
        "<IIQQQQQ", HARDWARE, ATTRIBUTES, INSTRUCTIONS, 0, 0, 0, NO_KERNEL | NO_HYPERVISOR
    )
    attributes = ctypes.create_string_buffer(wanted, ATTRIBUTES)
    opened: int = ctypes.CDLL(None).syscall(call, attributes, 0, -1, -1, 0)
    return opened if opened >= 0 else None
