"""Three ways to compile a function with numba. `kernel_cache` keeps the result on disk.

With ``NUMBA_DISABLE_JIT=1`` in the environment every function stays plain Python, for a debugger.
"""

import platform
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np

from streamer.errors import InstallationError

try:
    from numba import njit
    from numba.core import config
except ImportError as error:
    raise InstallationError(
        f"numba, which compiles what streamer does for each sample, cannot be imported: {error}. "
        "numba has builds for CPython 3.11 to 3.15; this is "
        f"{platform.python_implementation()} {platform.python_version()}. Install streamer with "
        "one of those, for instance with `python3.12 -m pip install streamer`."
    ) from error

from streamer.kernel_cache import KernelCache

F = TypeVar("F", bound=Callable[..., object])


def compiled(function: F) -> F:
    """Compile the function at its first call, or load it if it was compiled before."""
    return _compiled(function)


def compiled_together(function: F) -> F:
    """Compile functions that call each other for every few bytes or samples, and make no arrays.

    References to arrays are not counted: that took two thirds of their time. Loops over whole
    arrays must be `compiled`, because LLVM would inline them here and then not vectorize them.
    """
    return _compiled(function, _nrt=False)


def compiled_inline(function: F) -> F:
    """Compile a function that is called for each sample or record into its caller.

    A call hands an array over as seven arguments, and a table of arrays as hundreds.
    """
    return _compiled(function, _nrt=False, forceinline=True)


def _compiled(function: F, **options: Any) -> F:
    kernel: Any = njit(nogil=True, error_model="numpy", **options)(function)
    if not config.DISABLE_JIT:  # type: ignore[attr-defined]
        kernel._cache = KernelCache(function)  # noqa: SLF001
    return kernel  # type: ignore[no-any-return]


@compiled_inline
def as_index(place: int) -> int:
    """Return a place of an array, at least 0, such that compiled code does not check its sign.

    numba does so at each access with a signed index, because -1 stands for the last place: a
    twentieth of what windowing costs.
    """
    return np.uint64(place)  # type: ignore[return-value]
