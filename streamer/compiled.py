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
        """Compile the function at its first call, and keep the result on disk if that can be."""
        try:
            return _jitted(function, keep=True)
        except RuntimeError:
            # Neither beside the package nor at home may files be written.
            return _jitted(function, keep=False)

    def _jitted(function: F, *, keep: bool) -> F:
        jitted: F = njit(cache=keep, nogil=True, error_model="numpy")(function)  # type: ignore[assignment]
        return jitted
