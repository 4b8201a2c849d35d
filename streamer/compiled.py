"""Compiles what NumPy cannot do well, where numba is there; without it the same code just runs."""

from collections.abc import Callable
from typing import TypeVar

F = TypeVar("F", bound=Callable[..., object])

try:
    from numba import njit
except ImportError:
    IS_COMPILED = False

    def compiled(function: F) -> F:
        """Leave the function as it is."""
        return function

else:
    IS_COMPILED = True

    def compiled(function: F) -> F:
        """Compile the function at its first call, and remember the result on disk."""
        jitted: F = njit(cache=True, nogil=True, error_model="numpy")(function)  # type: ignore[assignment]
        return jitted
