from aiokafka.record.default_records import DefaultRecordBatch

from streamer.contracts.dead_letters import make_dead_letter_headers
from streamer.kafka.aiokafka_internals import build_batch
from tests.support.records import SKEW_US, ARecord, decode

REFUSED = ARecord(b"phone-17", b"{", (("trace", b"\x00\xff"), ("empty", None)), offset=1234)


def test_a_dead_letter_keeps_its_headers_and_says_where_it_comes_from_and_why() -> None:
    (reject,) = decode([REFUSED], SKEW_US).rejects
    headers = make_dead_letter_headers(REFUSED, "sensor-readings", 3, reject.reason, reject.detail)
    assert headers == [
        ("trace", b"\x00\xff"),
        ("empty", None),
        ("streamer-origin-topic", b"sensor-readings"),
        ("streamer-origin-partition", b"3"),
        ("streamer-origin-offset", b"1234"),
        ("streamer-reason", b"malformed"),
        ("streamer-detail", reject.detail.encode()),
    ]


def test_the_last_headers_count_when_a_dead_letter_is_rejected_again() -> None:
    once = make_dead_letter_headers(REFUSED, "sensor-readings", 3, "malformed", "")
    again = ARecord(REFUSED.key, REFUSED.value, tuple(once), offset=7)
    twice = dict(make_dead_letter_headers(again, "sensor-readings.dlq", 0, "malformed", ""))
    assert twice["streamer-origin-topic"] == b"sensor-readings.dlq"
    assert twice["streamer-origin-offset"] == b"7"


def test_the_headers_survive_kafkas_record_format() -> None:
    headers = make_dead_letter_headers(REFUSED, "sensor-readings", 3, "value", "±160 g")
    batch = build_batch([(0, REFUSED.key, REFUSED.value, headers)])
    (back,) = DefaultRecordBatch(batch)
    assert (back.key, back.value, list(back.headers)) == (REFUSED.key, REFUSED.value, headers)
