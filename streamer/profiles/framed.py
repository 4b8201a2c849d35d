"""Values that are framed for a schema registry: a zero byte, the schema's id, the data.

The libraries of the extra `streamer[registry]` do it: confluent-kafka's client asks the registry,
fastavro reads Avro, protobuf reads Protobuf after grpcio-tools has compiled the schema's text.
A schema never changes under its id, so each is asked for once, and the same bytes always give the
same values.
"""

import struct
from collections.abc import Callable
from typing import Any

import structlog

from streamer.contracts.readings import Rejection, RejectReason
from streamer.errors import InstallationError, RegistryError
from streamer.profiles.record_layout import FRAME

try:
    from confluent_kafka.schema_registry import Schema, SchemaRegistryClient
    from confluent_kafka.schema_registry.error import SchemaRegistryError

    from streamer.profiles.avro_values import AvroReader, AvroSchema
    from streamer.profiles.protobuf_values import MAIN, ProtobufReader, ProtobufSchema
except ImportError as error:
    raise InstallationError(
        f"records in Avro and Protobuf need the extra `streamer[registry]`: {error}; "
        "install it with `pip install 'streamer[registry]'`"
    ) from error

log = structlog.get_logger(__name__)

_NOT_FOUND = 404

Read = AvroReader | ProtobufReader
"""Decodes the data of one schema; raises any exception for malformed data."""


class FramedDecoder:
    """Decodes framed values with the schemas of a registry.

    Args:
        encoding: `avro` or `protobuf`.
        url: of the registry.
        login: `user:password`, if the registry wants one.
    """

    def __init__(self, encoding: str, url: str, login: str | None) -> None:
        self._type = {"avro": "AVRO", "protobuf": "PROTOBUF"}[encoding]
        self._registry = (url, login)
        self._readers: dict[int, Read | str] = {}

    def decode(self, value: bytes) -> object:
        """Return a framed value as objects, lists, texts and numbers.

        Raises:
            Rejection: the value is malformed, or its schema is not there or of no use.
            RegistryError: the registry does not answer.
        """
        number = schema_id(value)
        read = self._find_reader(number)
        if isinstance(read, str):
            raise Rejection(RejectReason.SCHEMA, read)
        try:
            return read(value[FRAME:])
        except Exception as error:  # noqa: BLE001 - whatever a library makes of hostile bytes
            raise Rejection(
                RejectReason.MALFORMED, f"not {self._type} of schema {number}: {error!r:.200}"
            ) from None

    def find_schema(self, number: int) -> AvroSchema | ProtobufSchema | None:
        """Return the schema of an id, None if it is not there or of no use.

        Raises:
            RegistryError: the registry does not answer.
        """
        read = self._find_reader(number)
        return None if isinstance(read, str) else read.schema

    def _find_reader(self, number: int) -> Read | str:
        """Return the reader of a schema, or why there is none; the registry is asked once."""
        if number not in self._readers:
            self._readers[number] = self._make_reader(number)
        return self._readers[number]

    def _make_reader(self, number: int) -> Read | str:
        """Return the reader of a schema, or why there is none."""
        schema = _find(self._registry, lambda client: client.get_schema(number))
        if schema is None:
            return f"the registry has no schema {number}"
        if schema.schema_type != self._type:
            return f"schema {number} is {schema.schema_type}, not {self._type}"
        texts = self._with_references(schema)
        try:
            return AvroReader(texts) if self._type == "AVRO" else ProtobufReader(texts)
        except Exception as error:  # noqa: BLE001 - whatever is in the registry
            return f"schema {number} cannot be used: {error!r:.200}"

    def _with_references(self, schema: Schema) -> dict[str, str]:
        """Return the texts of the schemas that this one needs by name, it is the last one."""
        texts: dict[str, str] = {}
        for reference in schema.references or []:
            found = _find(
                self._registry,
                lambda client, r=reference: client.get_version(r.subject, r.version).schema,  # type: ignore[misc]
            )
            if found is not None:
                texts |= self._with_references(found)
                texts[str(reference.name)] = texts.pop(MAIN)
        return texts | {MAIN: schema.schema_str or ""}


def _find(
    registry: tuple[str, str | None], question: Callable[[SchemaRegistryClient], Schema]
) -> Schema | None:
    """Ask for a schema. Returns None if there is no such schema."""
    try:
        found: Schema = _ask(registry, question)
    except SchemaRegistryError as error:
        if error.http_status_code == _NOT_FOUND:
            return None
        raise RegistryError(f"the schema registry at {registry[0]} answers: {error}") from error
    return found


def _ask(registry: tuple[str, str | None], question: Callable[[SchemaRegistryClient], Any]) -> Any:
    """Ask the registry; its client tries again by itself.

    Raises:
        SchemaRegistryError: it answers with an error.
        RegistryError: it does not answer.
    """
    url, login = registry
    try:
        with SchemaRegistryClient(
            {"url": url} | ({"basic.auth.user.info": login} if login else {})
        ) as client:
            return question(client)
    except SchemaRegistryError:
        raise
    except Exception as error:
        raise RegistryError(
            f"the schema registry at {url} does not answer: {error!r}; records cannot be read or "
            "written without it, and none is skipped"
        ) from error


def register_avro(url: str, login: str | None, subject: str, schema: str) -> int:
    """Register a schema in Avro, and return its id: the same for the same schema.

    Raises:
        RegistryError: the registry does not answer, or does not accept the schema.
    """
    try:
        number: int = _ask(
            (url, login), lambda client: client.register_schema(subject, Schema(schema, "AVRO"))
        )
    except SchemaRegistryError as error:
        raise RegistryError(
            f"the schema registry at {url} does not accept the schema of {subject}: {error}"
        ) from error
    return number


def schema_id(value: bytes) -> int:
    """Return the id of a framed value's schema.

    Raises:
        Rejection: the value is not framed.
    """
    if len(value) < FRAME or value[0] != 0:
        raise Rejection(
            RejectReason.MALFORMED,
            "it does not begin with a zero byte and a schema's id, as a registry's serializers "
            "write them",
        )
    number: int = struct.unpack_from(">I", value, 1)[0]
    return number
