"""Reads and writes values of Avro with fastavro, and checks the schemas that a registry has."""

import json
import struct
from collections.abc import Callable, Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from io import BytesIO
from typing import Any, NamedTuple

import fastavro
from fastavro import _read_py as plain_reader

_PARSED = "__fastavro_parsed"
_NAMED = "__named_schemas"
_LARGEST_FIXED = 2**31 - 1


class AvroSchema(NamedTuple):
    """A schema as fastavro parses it: names are full, and stand for types that were defined."""

    type: Any
    named: Mapping[str, Any]
    """The types that have names."""


class AvroReader:
    """Reads values of one schema.

    Args:
        texts: of schemas; the last one is that of the values, the others are those that it names.

    Raises:
        ValueError: one is not a schema, or such that a few bytes could fill the memory.
    """

    def __init__(self, texts: dict[str, str]) -> None:
        named: dict[str, Any] = {}
        parsed = None
        for text in texts.values():
            parsed = fastavro.parse_schema(_without_logical_types(json.loads(text)), named)
        self.schema = AvroSchema(parsed, named)
        for part in (parsed, *named.values()):
            _check(part, named)
        # fastavro's compiled reader does not notice that it calls itself too often.
        module = plain_reader if _is_recursive(named) else fastavro
        self._read = module.schemaless_reader
        self._parsed = _with_names(parsed, named)

    def __call__(self, data: bytes) -> object:
        """Return a value as objects, lists, texts and numbers.

        Raises:
            Exception: any, if the data are malformed.
        """
        file = BytesIO(data)
        value: object = self._read(file, self._parsed, None)
        if rest := len(data) - file.tell():
            raise ValueError(f"{rest} bytes follow the data")
        return value


def make_avro_writer(number: int, schema: dict[str, Any]) -> Callable[[object], bytes]:
    """Return what writes objects as framed values of this schema, whose id is `number`."""
    parsed = fastavro.parse_schema(schema)
    frame = b"\0" + struct.pack(">I", number)

    def write(data: object) -> bytes:
        file = BytesIO()
        file.write(frame)
        fastavro.schemaless_writer(file, parsed, data)
        return file.getvalue()

    return write


def _without_logical_types(schema: Any) -> Any:
    """Return a schema whose times are numbers, in the unit that the profile gives them."""
    if isinstance(schema, dict):
        return {
            name: _without_logical_types(part)
            for name, part in schema.items()
            if name != "logicalType"
        }
    if isinstance(schema, list):
        return [_without_logical_types(part) for part in schema]
    return schema


def _with_names(schema: Any, named: dict[str, Any]) -> Any:
    """Return a parsed schema in which fastavro finds the types that other schemas define."""
    if isinstance(schema, list):
        return [_with_names(part, named) for part in schema]
    if isinstance(schema, str):
        return _with_names(named[schema], named) if schema in named else schema
    return schema | {_PARSED: True, _NAMED: named}


def _check(schema: Any, named: dict[str, Any]) -> None:
    """Check a parsed schema, but not the types that it names."""
    if isinstance(schema, dict) and schema["type"] == "fixed":
        size = schema["size"]
        if not isinstance(size, int) or not 0 <= size <= _LARGEST_FIXED:
            raise ValueError(f"{schema['name']} has the size {size!r:.60}")
    if isinstance(schema, dict) and schema["type"] == "array" and _is_empty(schema["items"], named):
        raise ValueError(
            "an array has elements without any bytes: a short record could claim any number of them"
        )
    for part in _parts(schema):
        _check(part, named)


def _is_empty(schema: Any, named: dict[str, Any]) -> bool:
    """Return whether values of a type take no bytes."""
    if isinstance(schema, str) and schema in named:
        # Values of a type that directly contains itself have no end.
        others = {name: part for name, part in named.items() if name != schema}
        return _is_empty(named[schema], others)
    kind = schema["type"] if isinstance(schema, dict) else schema
    if kind == "fixed":
        return bool(schema["size"] == 0)
    if kind in ("record", "error"):
        return all(_is_empty(part, named) for part in _parts(schema))
    return bool(kind == "null")


def _parts(schema: Any) -> list[Any]:
    """Return the types that a parsed type consists of."""
    if isinstance(schema, list):
        return schema
    if not isinstance(schema, dict):
        return []
    match schema["type"]:
        case "array":
            return [schema["items"]]
        case "map":
            return [schema["values"]]
        case "record" | "error":
            return [field["type"] for field in schema["fields"]]
    return []


def _is_recursive(named: dict[str, Any]) -> bool:
    """Return whether a type contains itself."""
    try:
        TopologicalSorter({name: set(_names_in(part)) for name, part in named.items()}).prepare()
    except CycleError:
        return True
    return False


def _names_in(schema: Any) -> Iterator[str]:
    """Yield the names in a parsed type, also those of what is defined in it and of primitives."""
    for part in _parts(schema):
        if isinstance(part, str):
            yield part
        elif isinstance(part, dict) and "name" in part:
            yield part["name"]
        yield from _names_in(part)
