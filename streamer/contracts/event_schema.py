"""The Avro schema of activity events, made from the contract's types, and events as Avro data.

| in the contract | in Avro |
|---|---|
| string, enumeration | string |
| integer, number | long, double |
| object of fields | record |
| object by label | map of double, in the order of the labels |
| null, or a field that may be absent | union with null, null by default |
"""

from functools import cache
from typing import Any, Final

import msgspec
from msgspec import inspect

from streamer.contracts.events import ActivityEvent
from streamer.errors import DataError

NAMESPACE: Final = "streamer"

_SCALARS: Final = {
    inspect.StrType: "string",
    inspect.EnumType: "string",
    inspect.IntType: "long",
    inspect.FloatType: "double",
    inspect.BoolType: "boolean",
}


@cache
def avro_schema() -> dict[str, Any]:
    """Return the schema of an event."""
    schema: dict[str, Any] = _schema_of(inspect.type_info(ActivityEvent))
    return schema


def to_avro(event: ActivityEvent) -> dict[str, Any]:
    """Return an event as the objects that a library writes with the schema."""
    built: dict[str, Any] = msgspec.to_builtins(event)
    return built


def from_avro(data: object) -> ActivityEvent:
    """Return the event that a library has read, with this schema or one of another version.

    Raises:
        DataError: the data are not an activity event.
    """
    if isinstance(data, dict):
        data = {k: v for k, v in data.items() if v is not None or k not in _may_be_absent()}
    try:
        return msgspec.convert(data, ActivityEvent)
    except msgspec.ValidationError as error:
        raise DataError(f"not an activity event: {error}") from None


@cache
def _may_be_absent() -> frozenset[str]:
    fields = msgspec.structs.fields(ActivityEvent)
    return frozenset(field.name for field in fields if not field.required)


def _schema_of(kind: inspect.Type) -> Any:
    match kind:
        case inspect.UnionType(types=[one, inspect.NoneType()]):
            return ["null", _schema_of(one)]
        case inspect.DictType(value_type=value):
            return {"type": "map", "values": _schema_of(value)}
        case inspect.StructType(cls=cls, fields=fields):
            return {
                "type": "record",
                "name": cls.__name__,
                "namespace": NAMESPACE,
                "fields": [_field(field) for field in fields],
            }
        case _:
            return _SCALARS[type(kind)]


def _field(field: inspect.Field) -> dict[str, Any]:
    schema = _schema_of(field.type)
    if not field.required and not isinstance(schema, list):
        schema = ["null", schema]
    optional = isinstance(schema, list)
    return {"name": field.encode_name, "type": schema} | ({"default": None} if optional else {})
