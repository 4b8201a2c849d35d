"""The last step of decoding, of every format: good samples become the columns of `Decoded`."""

import numpy as np
import numpy.typing as npt

from streamer.arrays import Bytes, Floats, Ints
from streamer.contracts.readings import ACC, GYRO, Decoded, Reject


def make_decoded(
    record: Ints,
    device: Ints,
    device_ids: list[str],
    time_us: Ints,
    values: Floats,
    sensors: Bytes,
    complete: bool,
    rejects: list[Reject],
) -> Decoded:
    """Return samples with their devices in the order of appearance.

    Args:
        record: as are the following ones, a column of `Decoded`.
        device: (s,) index into ``device_ids``.
        device_ids: devices in any order, also some without samples.
        time_us: see `Decoded`.
        values: (s, 6) with any numbers in the columns of a sensor that is missing; changed.
        sensors: see `Decoded`.
        complete: see `Decoded`.
        rejects: see `Decoded`.
    """
    appearance, rank = _order_by_appearance(device, len(device_ids))
    if not complete:
        values[sensors == GYRO, :3] = np.nan
        values[sensors == ACC, 3:] = np.nan
    return Decoded(
        record=record,
        device=rank[device],
        device_ids=[device_ids[i] for i in appearance.tolist()],
        time_us=time_us,
        values=values,
        sensors=sensors,
        complete=complete,
        rejects=rejects,
    )


def _order_by_appearance(
    device: Ints, devices: int
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Return the devices that occur, in the order of their first occurrence, and their ranks.

    Args:
        device: (n,) numbers of devices below ``devices``.
        devices: how many numbers there are.
    """
    first = np.full(devices, len(device))
    np.minimum.at(first, device, np.arange(len(device)))
    by_appearance = np.argsort(first)[: np.count_nonzero(first < len(device))]
    rank = np.empty(devices, np.intp)
    rank[by_appearance] = np.arange(len(by_appearance))
    return by_appearance, rank
