"""Writes events in the format that the settings name, and reads them in either format.

An event in Avro has a schema registry's framing: a zero byte, the id of the schema, the data. JSON
begins with a brace. So whoever reads needs no setting but the address of the registry.
"""

import json
from collections.abc import Callable

from streamer.contracts.event_schema import avro_schema, from_avro, to_avro
from streamer.contracts.events import ActivityEvent, decode_event, encode_event
from streamer.contracts.readings import Rejection
from streamer.errors import DataError
from streamer.profiles.record_layout import FRAME
from streamer.settings import Settings

EncodeEvent = Callable[[ActivityEvent], bytes]
"""Returns the value of the record of an event; equal events give equal bytes."""

DecodeEvent = Callable[[bytes], ActivityEvent]
"""Returns the event that a value holds; raises a `DataError` if it holds none."""


def open_event_encoder(settings: Settings) -> EncodeEvent:
    """Return how events are written. For Avro it registers the schema: call it in a thread.

    The registry gives equal schemas the same id, so all workers write the same bytes.

    Raises:
        InstallationError: Avro needs the extra `streamer[registry]`.
        RegistryError: the registry does not answer, or does not accept the schema.
    """
    if settings.events_format == "json":
        return encode_event
    from streamer.profiles import framed  # noqa: PLC0415 - an optional extra
    from streamer.profiles.avro_values import make_avro_writer  # noqa: PLC0415

    assert settings.schema_registry is not None
    subject, schema = f"{settings.events_topic}-value", avro_schema()
    number = framed.register_avro(
        settings.schema_registry, settings.registry_login, subject, json.dumps(schema)
    )
    write = make_avro_writer(number, schema)
    return lambda event: write(to_avro(event))


def make_event_decoder(settings: Settings) -> DecodeEvent:
    """Return how events are read. It asks the registry once for each schema that it meets.

    A registry that has lost the schema of an event, or has another one under its id, is no reason
    to lose the event: it is then read with the schema of this version.

    The function raises a `RegistryError` if the registry does not answer.
    """
    readers: list[tuple[Callable[[bytes], object], Callable[[bytes], object]]] = []

    def decode(value: bytes) -> ActivityEvent:
        if value[:1] != b"\0":
            return decode_event(value)
        if settings.schema_registry is None:
            raise DataError("an event is framed for a schema registry: set schema_registry")
        if not readers:
            readers.append(_make_readers(settings.schema_registry, settings.registry_login))
        by_registry, by_own_schema = readers[0]
        try:
            return from_avro(by_registry(value))
        except (DataError, Rejection) as error:
            try:
                return from_avro(by_own_schema(value))
            except Exception:  # noqa: BLE001 - whatever the library makes of another schema's bytes
                raise DataError(f"not an activity event: {error}") from None

    return decode


def _make_readers(
    registry: str, login: str | None
) -> tuple[Callable[[bytes], object], Callable[[bytes], object]]:
    """Return what reads framed values with the schema of their id, and with ours."""
    from streamer.profiles import framed  # noqa: PLC0415 - an optional extra
    from streamer.profiles.avro_values import AvroReader  # noqa: PLC0415

    own = AvroReader({"event": json.dumps(avro_schema())})
    return framed.FramedDecoder("avro", registry, login).decode, lambda value: own(value[FRAME:])
