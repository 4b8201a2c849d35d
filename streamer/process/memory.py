"""How the process's memory is managed, where the C library lets itself be told."""

import ctypes
import gc
import sys

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_KEPT_BYTES = 32 * 1024 * 1024
"""As large as glibc allows."""


_ALLOCATIONS = 50_000
"""Between two collections of garbage: a second's windows, none of which is in a cycle."""


def collect_garbage_rarely() -> None:
    """Spare the collector what lives as long as the process, and what is gone by itself.

    Looking at each event's parts again and again cost as much as making them.
    """
    gc.freeze()
    gc.set_threshold(_ALLOCATIONS, 20, 100)


def keep_freed_memory() -> None:
    """Let the process keep what it frees, for what it needs next.

    Features are computed in arrays of a megabyte that come and go. glibc would give each back to
    the system, and fault in every page of the next one: half of the time went there.
    """
    if sys.platform != "linux":
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # musl has none
    if mallopt is not None:
        mallopt(_M_TRIM_THRESHOLD, _KEPT_BYTES)
        mallopt(_M_MMAP_THRESHOLD, _KEPT_BYTES)
