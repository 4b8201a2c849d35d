"""Dead letters: refused records, exactly as they came, with headers that say where and why.

Key and value of a dead letter are those of the record; its headers come first, ours after them.
"""

from streamer.contracts.readings import Record

ORIGIN_TOPIC = "streamer-origin-topic"
ORIGIN_PARTITION = "streamer-origin-partition"
"""Decimal digits."""
ORIGIN_OFFSET = "streamer-origin-offset"
"""Decimal digits."""
REASON = "streamer-reason"
"""One word, for programs: a `RejectReason`, or `late`."""
DETAIL = "streamer-detail"
"""For people."""


def dead_letter_headers(
    record: Record, topic: str, partition: int, reason: str, detail: str
) -> list[tuple[str, bytes | None]]:
    """Headers of the dead letter for a record of this topic and partition.

    A record that was a dead letter before keeps its old headers too; of equal names the last
    one counts.
    """
    return [
        *record.headers,
        (ORIGIN_TOPIC, topic.encode()),
        (ORIGIN_PARTITION, str(partition).encode()),
        (ORIGIN_OFFSET, str(record.offset).encode()),
        (REASON, reason.encode()),
        (DETAIL, detail.encode()),
    ]
