"""Bytewax, no recovery. Usage: bytewax_flow.py BROKERS IN OUT."""

import sys
from typing import Any

import bytewax.operators as op
from bytewax.connectors.kafka import KafkaSinkMessage
from bytewax.connectors.kafka import operators as kop
from bytewax.dataflow import Dataflow
from bytewax.run import cli_main
from job import Device, parse, write

brokers, readings, events = sys.argv[1:4]


def step(device: Device | None, reading: dict[str, Any]) -> tuple[Device, dict[str, Any] | None]:
    device = device or Device()
    return device, device.add(reading)


def message(keyed: tuple[str, dict[str, Any] | None]) -> KafkaSinkMessage[bytes, bytes] | None:
    key, event = keyed
    return None if event is None else KafkaSinkMessage(key.encode(), write(event))


flow = Dataflow("peers")
source = kop.input("in", flow, brokers=[brokers], topics=[readings], batch_size=2000)
parsed = op.map("parse", source.oks, lambda record: parse(record.value))
keyed = op.key_on("device", parsed, lambda reading: reading["device_id"])
labelled = op.stateful_map("windows", keyed, step)
messages = op.filter_map("events", labelled, message)
kop.output("out", messages, brokers=[brokers], topic=events)
cli_main(flow)
