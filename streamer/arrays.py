"""Types of NumPy arrays by what they hold. Docstrings give the shapes."""

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
