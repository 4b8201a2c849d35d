"""Logs what is wrong with the devices of a partition, each thing once an hour."""

import structlog

from streamer.flow.plausibility import Doubt
from streamer.settings import Settings

log = structlog.get_logger(__name__)

MOST_NAMED = 10
"""Devices that one line of the log names."""

SAID_AGAIN_US = 3_600_000_000
"""The same warning is logged once in this time, by the partition clock."""


class DeviceWarnings:
    """The warnings of one partition, and when they were logged."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._said_us: dict[tuple[str, str], int] = {}

    def forget(self, device_ids: list[str]) -> None:
        """Forget devices that are gone."""
        for device_id in device_ids:
            self._said_us.pop(("doubt", device_id), None)

    def say_restarted(self, device_ids: list[str]) -> None:
        """Name devices that start anew because all their samples were late."""
        if device_ids:
            log.warning(
                "devices that sent nothing but late samples for some seconds start anew: their "
                "clocks went back, or one of their samples was stamped ahead; set their clocks",
                devices=device_ids[:MOST_NAMED],
                number=len(device_ids),
            )

    def say_doubt(self, doubt: Doubt, clock_us: int) -> None:
        """Name a device whose window is not labelled for what it looks like."""
        if self._is_due(clock_us, "doubt", doubt.device_id):
            log.warning(
                "windows of a device are not labelled",
                device=doubt.device_id,
                reason=doubt.skip.value,
                because=doubt.detail,
            )

    def say_ahead(self, device_ids: list[str], clock_us: int) -> None:
        """Name the devices whose timestamps are ahead of all others."""
        if device_ids and self._is_due(clock_us, "ahead"):
            log.warning(
                "records of some devices have timestamps ahead of all others; the partition clock "
                "does not follow them. Set message.timestamp.type=LogAppendTime for the topic, or "
                "set the clocks of these devices",
                devices=device_ids[:MOST_NAMED],
                number=len(device_ids),
            )

    def say_pushed_out(self, clock_us: int) -> None:
        """Say that the partition has too many devices."""
        if self._is_due(clock_us, "pushed out"):
            log.warning(
                "the partition has more devices than max_devices; the least recently seen are "
                "forgotten and start anew with their next reading. Give the topic more partitions, "
                "raise max_devices, or look for a publisher that makes up device ids",
                max_devices=self._settings.max_devices,
            )

    def _is_due(self, clock_us: int, what: str, device_id: str = "") -> bool:
        """Return whether something has not been logged for an hour; it counts as logged now."""
        said_us = self._said_us.get((what, device_id))
        if said_us is not None and clock_us - said_us <= SAID_AGAIN_US:
            return False
        self._said_us[what, device_id] = clock_us
        return True
