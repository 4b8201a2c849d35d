"""Compiles what NumPy cannot do well, where numba is there; without it the same code just runs."""

from collections.abc import Callable
from typing import Any, TypeVar

F = TypeVar("F", bound=Callable[..., object])

try:
    from numba import njit
except ImportError:
    IS_COMPILED = False

    def compiled(function: F) -> F:
        """Leave the function as it is."""
        return function

    compiled_together = compiled
    compiled_inline = compiled

else:
    IS_COMPILED = True

    def compiled(function: F) -> F:
        """Compile the function at its first call, and keep the result on disk if that can be."""
        return _kept(function)

    def compiled_together(function: F) -> F:
        """The same for functions that call each other all the time, and make no arrays.

        Counting references to arrays at each call took two thirds of their time. Loops over whole
        arrays had better be `compiled`: LLVM would inline them here, and then not vectorize them.
        """
        return _kept(function, _nrt=False)

    def compiled_inline(function: F) -> F:
        """The same for functions called for each sample or record: they become part of the caller.

        An array is handed over as seven arguments, a table of arrays as hundreds.
        """
        return _kept(function, _nrt=False, forceinline=True)

    def _kept(function: F, **options: Any) -> F:
        options |= {"nogil": True, "error_model": "numpy"}
        kept: F
        try:
            kept = njit(cache=True, **options)(function)
        except RuntimeError:
            # Neither beside the package nor at home may files be written.
            kept = njit(**options)(function)
        return kept
