"""The grid that gives every window its identity.

Window k of a device is nominally ``[h, h + length)`` with ``h = phase + k * hop`` since the epoch.
The phase is a hash of the device's name, so an identity is arithmetic, the same after any replay,
and a thousand devices do not all close their windows at the same instant.
"""

import hashlib


def phase_us(device_id: str, hop_us: int) -> int:
    """Offset of a device's grid: stable, uniform over whole milliseconds of [0, hop), in us."""
    digest = hashlib.blake2b(device_id.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") % (hop_us // 1000) * 1000
