"""Reads messages of Protobuf with the library protobuf; grpcio-tools compiles their schema."""

import tempfile
from pathlib import Path
from typing import Any, TypeAlias

import grpc_tools
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from grpc_tools import protoc

from streamer.contracts.zigzag import read_zigzag

MAIN = "schema.proto"
"""The name of the schema of the messages, among those that it imports."""

AnyMessage: TypeAlias = Any
AnyField: TypeAlias = Any
AnyEnum: TypeAlias = Any
"""Descriptors: those of the library's compiled part are of classes that its types do not name."""

ProtobufSchema = dict[tuple[int, ...], AnyMessage]
"""The messages of a schema by their paths: the index of the message, then of those inside it."""


class ProtobufReader:
    """Reads messages of one schema.

    Args:
        texts: of schemas; the last one is that of the messages, the others are those that it
            imports.

    Raises:
        ValueError: the compiler does not accept them.
    """

    def __init__(self, texts: dict[str, str]) -> None:
        pool = descriptor_pool.DescriptorPool()
        for file in compile_schemas(texts).file:
            pool.Add(file)
        self.schema: ProtobufSchema = {}
        for i, message in enumerate(pool.FindFileByName(MAIN).message_types_by_name.values()):
            self._add((i,), message)

    def _add(self, path: tuple[int, ...], message: AnyMessage) -> None:
        self.schema[path] = message
        for i, nested in enumerate(message.nested_types):
            self._add((*path, i), nested)

    def __call__(self, data: bytes) -> object:
        """Return a message, with its path before it, as objects, lists, texts and numbers.

        Raises:
            Exception: any, if the data are malformed.
        """
        path, at = _message_path(data)
        message = message_factory.GetMessageClass(self.schema[path])()
        message.ParseFromString(data[at:])
        return _plain(message)


def compile_schemas(texts: dict[str, str]) -> descriptor_pb2.FileDescriptorSet:
    """Compile the texts of schemas; see `ProtobufReader`."""
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
        if protoc.main([*command, f"--descriptor_set_out={compiled}", MAIN]):
            raise ValueError("the Protobuf compiler does not accept it")
        return descriptor_pb2.FileDescriptorSet.FromString(compiled.read_bytes())


def _message_path(data: bytes) -> tuple[tuple[int, ...], int]:
    """Return which message of a schema this is, an index for each level, and where it begins."""
    count, at = read_zigzag(data, 0)
    if count == 0:
        return (0,), at
    path = []
    for _ in range(count):
        index, at = read_zigzag(data, at)
        path.append(index)
    return tuple(path), at


def _plain(message: Message) -> dict[str, object]:
    """Return a message as a dictionary; a field that it does not have is None."""
    found: dict[str, object] = {}
    fields: list[AnyField] = list(message.DESCRIPTOR.fields)
    for field in fields:
        value = getattr(message, field.name)
        if is_map(field):
            of_value = field.message_type.fields_by_name["value"]
            found[field.name] = {str(key): _value(of_value, value[key]) for key in value}
        elif field.is_repeated:
            found[field.name] = [_value(field, each) for each in value]
        elif field.has_presence and not message.HasField(field.name):
            found[field.name] = None
        else:
            found[field.name] = _value(field, value)
    return found


def _value(field: AnyField, value: Any) -> object:
    """Return one value of a field."""
    if field.type == FieldDescriptor.TYPE_ENUM:
        return name_of_value(field.enum_type, value)
    return _plain(value) if isinstance(value, Message) else value


def name_of_value(enum: AnyEnum, number: int) -> str | int:
    """Return the name of a value of an enum, its number if it has no name."""
    value = enum.values_by_number.get(number)
    return number if value is None else str(value.name)


def is_map(field: AnyField) -> bool:
    """Return whether a field is a map: a list of messages with a key and a value."""
    return field.type == FieldDescriptor.TYPE_MESSAGE and bool(
        field.message_type.GetOptions().map_entry
    )
