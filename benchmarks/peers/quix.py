"""Quix Streams, at least once. Usage: quix.py BROKERS IN OUT."""

import sys
from typing import Any

from job import Devices, parse, write
from quixstreams import Application

brokers, readings, events = sys.argv[1:4]
devices = Devices()


def add(value: bytes) -> dict[str, Any] | None:
    return devices.add(parse(value))


app = Application(
    broker_address=brokers,
    consumer_group=f"quix-{events}",
    auto_offset_reset="earliest",
    commit_interval=1.0,
    loglevel="WARNING",
)
stream = app.dataframe(app.topic(readings, value_deserializer="bytes"))
stream = stream.apply(add).filter(lambda event: event is not None).apply(write)
stream.to_topic(app.topic(events, value_serializer="bytes"))
app.run()
