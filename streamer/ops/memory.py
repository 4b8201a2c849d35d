"""How the process's memory is managed, where the C library lets itself be told."""

import ctypes
import sys

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_KEPT_BYTES = 32 * 1024 * 1024
"""As large as glibc allows."""


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
