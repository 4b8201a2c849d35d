"""Values that are framed for a schema registry: a zero byte, the schema's id, the data.

The libraries of the extra `streamer[registry]` do it: confluent-kafka's client asks the registry,
fastavro reads Avro, protobuf reads Protobuf after grpcio-tools has compiled the schema's text.
A schema never changes under its id, so each is asked for once, and the same bytes always give the
same values.
"""

import struct
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import structlog

from streamer.contracts.readings import Rejection, RejectReason
from streamer.contracts.zigzag import read_zigzag
from streamer.errors import InstallationError, RegistryError
from streamer.profiles.record_layout import FRAME

try:
    import grpc_tools
    from confluent_kafka.schema_registry import Schema, SchemaRegistryClient
    from confluent_kafka.schema_registry.error import SchemaRegistryError
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
    from google.protobuf.message import DecodeError, Message
    from grpc_tools import protoc

    from streamer.profiles.avro_values import AvroReader, AvroSchema
except ImportError as error:
    raise InstallationError(
        f"records in Avro and Protobuf need the extra `streamer[registry]`: {error}; "
        "install it with `pip install 'streamer[registry]'`"
    ) from error

log = structlog.get_logger(__name__)

_NOT_FOUND = 404
_MAIN = "schema.proto"

Read = Callable[[bytes], object]
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

    def find_avro_schema(self, number: int) -> AvroSchema | None:
        """Return the schema of an id, None if it is not there or of no use.

        Raises:
            RegistryError: the registry does not answer.
        """
        read = self._find_reader(number)
        return read.schema if isinstance(read, AvroReader) else None

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
            return AvroReader(texts) if self._type == "AVRO" else make_protobuf_reader(texts)
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
                texts[str(reference.name)] = texts.pop(_MAIN)
        return texts | {_MAIN: schema.schema_str or ""}


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


def make_protobuf_reader(texts: dict[str, str]) -> Read:
    """Return the reader of the last of these schemas; the others are those that it imports.

    Raises:
        ValueError: the compiler does not accept them.
    """
    pool = descriptor_pool.DescriptorPool()
    for file in _compile(texts).file:
        pool.Add(file)
    messages = list(pool.FindFileByName(_MAIN).message_types_by_name.values())

    def read(data: bytes) -> object:
        path, at = _message_path(data)
        found = messages[path[0]]
        for index in path[1:]:
            found = found.nested_types[index]
        message = message_factory.GetMessageClass(found)()
        message.ParseFromString(data[at:])
        return _plain(message)

    return read


def _compile(texts: dict[str, str]) -> descriptor_pb2.FileDescriptorSet:
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch).resolve()
        for name, text in texts.items():
            path = (folder / name).resolve()
            if not path.is_relative_to(folder):
                raise ValueError(f"{name} is not a name of a schema")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        compiled = folder / "compiled"
        common = Path(grpc_tools.__file__).parent / "_proto"
        command = ["protoc", f"-I{folder}", f"-I{common}", "--include_imports"]
        if protoc.main([*command, f"--descriptor_set_out={compiled}", _MAIN]):
            raise ValueError("the Protobuf compiler does not accept it")
        return descriptor_pb2.FileDescriptorSet.FromString(compiled.read_bytes())


def _message_path(data: bytes) -> tuple[list[int], int]:
    """Return which message of a schema this is, an index for each level, and where it begins."""
    count, at = read_zigzag(data, 0)
    if count == 0:
        return [0], at
    path = []
    for _ in range(count):
        index, at = read_zigzag(data, at)
        if index < 0:
            raise DecodeError("the index of the message is negative")
        path.append(index)
    return path, at


def _plain(message: Message) -> dict[str, object]:
    """Return a message as a dictionary; a field that it does not have is None."""
    found: dict[str, object] = {}
    for field in message.DESCRIPTOR.fields:
        value = getattr(message, field.name)
        if field.is_repeated:
            found[field.name] = [_plain(v) if isinstance(v, Message) else v for v in value]
        elif field.has_presence and not message.HasField(field.name):
            found[field.name] = None
        else:
            found[field.name] = _plain(value) if isinstance(value, Message) else value
    return found
