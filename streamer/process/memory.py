"""Settings of the garbage collector and of the C library's allocator."""

import ctypes
import gc
import sys

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_KEPT_BYTES = 32 * 1024 * 1024
"""Bytes of freed memory that are kept: the largest value that glibc accepts."""


_ALLOCATIONS = 50_000
"""Allocations between two collections of garbage: the windows of a second, without cycles."""


def collect_garbage_rarely() -> None:
    """Exclude what exists so far from garbage collection, and collect rarely.

    Collections that visit the parts of each event cost as much as making the events.
    """
    gc.freeze()
    gc.set_threshold(_ALLOCATIONS, 20, 100)


def keep_freed_memory() -> None:
    """Let the allocator keep freed memory for the next arrays.

    Features are computed in arrays of a megabyte. glibc would return each of them to the system,
    and every page of the next one would fault: that took half of the time.
    """
    if sys.platform != "linux":
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # musl has none
    if mallopt is not None:
        mallopt(_M_TRIM_THRESHOLD, _KEPT_BYTES)
        mallopt(_M_MMAP_THRESHOLD, _KEPT_BYTES)
