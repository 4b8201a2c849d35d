"""Members of a model file: `.npy` arrays in an uncompressed zip, checked before they are used."""

import zipfile
from io import BytesIO
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt
from numpy.lib import format as npy

from streamer.errors import ModelError


def encode_array(array: npt.NDArray[Any], dtype: str) -> bytes:
    """Return an array as a `.npy` file of this type. Equal arrays give equal bytes."""
    buffer = BytesIO()
    npy.write_array(buffer, np.ascontiguousarray(array, dtype), version=(1, 0))
    return buffer.getvalue()


def read_members(archive: zipfile.ZipFile, names: list[str]) -> dict[str, bytes]:
    """Return the content of these members of the zip, by name.

    Raises:
        ModelError: a member is missing, or compressed: nothing would bound its unpacked size.
    """
    members = {info.filename: info for info in archive.infolist()}
    if missing := set(names) - set(members):
        raise ModelError(f"it has no {', '.join(sorted(missing))}")
    for name in names:
        if members[name].compress_type != zipfile.ZIP_STORED:
            raise ModelError(
                f"{name} is compressed, to {members[name].file_size:,} bytes when unpacked; "
                "a model is stored uncompressed"
            )
    return {name: archive.read(name) for name in names}


def parse_array(
    name: str, content: bytes, wanted: str, shape: tuple[int, ...] | None = None
) -> npt.NDArray[Any]:
    """Return the array in a `.npy` file of the expected type, and of this shape if one is given.

    Raises:
        ModelError: the file holds something else, or a number that is not finite.
    """
    file = BytesIO(content)
    try:
        if npy.read_magic(file) != (1, 0):
            raise ValueError("a format version other than 1.0")
        found_shape, fortran_order, dtype = npy.read_array_header_1_0(file)
    except ValueError as error:
        raise ModelError(f"{name} is not a .npy array ({error})") from None
    shape = found_shape if shape is None else shape
    if (found_shape, dtype, fortran_order) != (shape, np.dtype(wanted), False):
        order = "Fortran" if fortran_order else "C"
        raise ModelError(
            f"{name} is {dtype} {found_shape} in {order} order, not {np.dtype(wanted)} {shape} in "
            "C order"
        )
    left = file.read()
    values = np.frombuffer(left, dtype, len(left) // dtype.itemsize)
    if values.size != prod(shape) or not np.isfinite(values).all():
        raise ModelError(f"{name} does not hold {prod(shape)} finite numbers")
    return values.reshape(shape)
