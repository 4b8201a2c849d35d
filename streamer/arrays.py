"""Types of NumPy arrays by what they hold, and large arrays. Docstrings give the shapes."""

import math
import mmap
from typing import TypeVar

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Words = npt.NDArray[np.uint64]
HalfWords = npt.NDArray[np.uint32]
QuarterWords = npt.NDArray[np.uint16]
QuarterInts = npt.NDArray[np.int16]
HalfFloats = npt.NDArray[np.float32]
Bytes = npt.NDArray[np.uint8]
Bools = npt.NDArray[np.bool_]
Complexes = npt.NDArray[np.complex128]
Strings = npt.NDArray[np.str_]

Number = TypeVar("Number", bound=np.generic)


def map_zeros(shape: tuple[int, ...], dtype: type[Number]) -> npt.NDArray[Number]:
    """Return zeros that take memory only where they are written to.

    The system gets the memory back when the array is dropped. `numpy.zeros` takes arrays below the
    threshold that `streamer.process.memory` sets from the heap: it may write all zeros, and the
    heap keeps the memory.
    """
    count = math.prod(shape)
    flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
    memory = mmap.mmap(-1, max(count * np.dtype(dtype).itemsize, 1), flags=flags)
    return np.frombuffer(memory, dtype, count).reshape(shape)
