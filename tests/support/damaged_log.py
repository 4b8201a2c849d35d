"""Changes record batches on the disk of a broker."""

import struct

from crc32c import crc32c

from streamer.kafka.aiokafka_internals import WholeBatch
from streamer.localkafka.broker import LocalKafka


def damage(kafka: LocalKafka, topic: str, offset: int) -> tuple[int, int]:
    """Change the last byte of a batch of partition 0 on the disk of the broker.

    Returns:
        The first and the last offset of the batch that has the record at `offset`.
    """
    [segment] = kafka.folder.glob(f"**/{topic}-0/*.log")
    data = segment.read_bytes()
    begin = end = last = 0
    while last < offset or end == 0:
        begin = end
        (length,) = struct.unpack_from("!i", data, begin + WholeBatch.AFTER_LEN_OFFSET - 4)
        end += WholeBatch.AFTER_LEN_OFFSET + length
        last = WholeBatch(data[begin:end]).offset
    with segment.open("r+b") as file:
        file.seek(end - 1)
        file.write(bytes([data[end - 1] ^ 1]))
    return WholeBatch(data[begin:end]).base_offset, last


def replace_on_disk(kafka: LocalKafka, topic: str, old: bytes, new: bytes) -> None:
    """Change bytes of the only batch of partition 0, and its checksum."""
    [segment] = kafka.folder.glob(f"**/{topic}-0/*.log")
    data = bytearray(segment.read_bytes().replace(old, new))
    checksum = crc32c(data[WholeBatch.ATTRIBUTES_OFFSET :])
    struct.pack_into("!I", data, WholeBatch.CRC_OFFSET, checksum)
    segment.write_bytes(data)
