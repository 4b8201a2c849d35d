"""Defines a recording at 50 Hz: the samples of one device, and the labelled activities."""

from dataclasses import dataclass

from streamer.arrays import Floats


@dataclass(frozen=True, slots=True)
class Segment:
    """One activity or movement, during the samples ``start0 <= i < end0`` (counted from 0)."""

    activity: str
    start0: int
    end0: int


@dataclass(frozen=True, slots=True)
class Recording:
    """One person who carries one device.

    Attributes:
        device_id: the recording's name, under which it is replayed.
        subject: the person with the device; empty if unknown.
        acc_gyro: (n, 6), acceleration x y z in g and rotation x y z in rad/s, at 50 Hz.
        segments: labelled parts in the order of time, without overlap; empty without labels.
        place: place of the device, such as `waist`; empty if unknown.
    """

    device_id: str
    subject: str
    acc_gyro: Floats
    segments: tuple[Segment, ...] = ()
    place: str = ""
