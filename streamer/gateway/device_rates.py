"""Limits how many samples a device sends, and how many devices a token has.

The limits are those of one gateway: gateways share nothing.
"""

import time
from collections.abc import Callable, Sequence
from typing import Final

from streamer.contracts.readings import LARGEST_BATCH

BURST_S: Final = 60.0
"""Seconds' worth of samples that a device may send at once after an outage, unless said."""

REMEMBERED_S: Final = 600.0
"""Silence after which a device is no longer counted as one of its token's."""


class TooMany(Exception):  # noqa: N818 - it is an answer
    """A device sends too many samples, or a token has too many devices.

    Attributes:
        retry_after_s: when the client may try again.
    """

    def __init__(self, message: str, retry_after_s: int) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class DeviceRates:
    """The devices of each token, and the time at which each has paid for its samples.

    A sample costs ``1 / samples_per_s`` seconds. A device may be ahead of the clock by ``burst_s``.

    Args:
        samples_per_s: of a device, sustained.
        devices_per_token: within `REMEMBERED_S`.
        clock: seconds that never go backwards.
        burst_s: seconds' worth of samples that a device may send at once.
    """

    def __init__(
        self,
        samples_per_s: float,
        devices_per_token: int,
        clock: Callable[[], float] = time.monotonic,
        burst_s: float = BURST_S,
    ) -> None:
        self._cost_s = 1 / samples_per_s
        # A record of the largest size is always possible.
        self._burst_s = max(burst_s, LARGEST_BATCH * self._cost_s)
        self._most = devices_per_token
        self._clock = clock
        self._tokens: dict[str, dict[str, tuple[float, float]]] = {}
        """By token and device, the least recently seen one first: paid until, seen at."""

    def admit(self, token: str, readings: Sequence[tuple[str, int]]) -> None:
        """Count the samples of readings, given as device id and samples: all or none.

        Raises:
            TooMany: the client has to wait.
        """
        now_s = self._clock()
        devices = self._tokens.setdefault(token, {})
        self._forget_silent(devices, now_s)
        samples: dict[str, int] = {}
        for device_id, count in readings:
            samples[device_id] = samples.get(device_id, 0) + count
        paid = {}
        for device_id, count in samples.items():
            before_s, _ = devices.get(device_id, (now_s, now_s))
            paid[device_id] = max(before_s, now_s) + count * self._cost_s
            if (ahead_s := paid[device_id] - now_s - self._burst_s) > 0:
                raise TooMany(
                    f"the device {device_id!r:.80} sends more than {1 / self._cost_s:g} samples a "
                    "second",
                    int(ahead_s) + 1,
                )
        if len(devices) + sum(device_id not in devices for device_id in paid) > self._most:
            raise TooMany(
                f"the token has more than {self._most} devices within {REMEMBERED_S:.0f} s",
                int(REMEMBERED_S),
            )
        for device_id, until_s in paid.items():
            devices.pop(device_id, None)
            devices[device_id] = until_s, now_s

    def _forget_silent(self, devices: dict[str, tuple[float, float]], now_s: float) -> None:
        while devices:
            first = next(iter(devices))
            if now_s - devices[first][1] <= REMEMBERED_S:
                break
            del devices[first]
