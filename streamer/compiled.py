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

    compiled_reader = compiled

else:
    IS_COMPILED = True

    def compiled(function: F) -> F:
        """Compile the function at its first call, and keep the result on disk if that can be."""
        return _kept(function, count_references=True)

    def compiled_reader(function: F) -> F:
        """The same for functions that call each other for every few bytes, and make no arrays.

        Counting references to arrays at each call took two thirds of their time. Loops over whole
        arrays had better be `compiled`: LLVM would inline them here, and then not vectorize them.
        """
        return _kept(function, count_references=False)

    def _kept(function: F, *, count_references: bool) -> F:
        try:
            return _jitted(function, count_references=count_references, keep=True)
        except RuntimeError:
            # Neither beside the package nor at home may files be written.
            return _jitted(function, count_references=count_references, keep=False)

    def _jitted(function: F, *, count_references: bool, keep: bool) -> F:
        options: dict[str, Any] = {
            "cache": keep,
            "nogil": True,
            "error_model": "numpy",
            "_nrt": count_references,
        }
        jitted: F = njit(**options)(function)
        return jitted
