"""Plans for reading Protobuf: a schema and the paths of a profile, as tables for `protobuf_walk`.

The data of a message are fields with numbers, in any order. The plan of a message therefore is a
table of its fields, with what to do with each; it is made for a message and the node of the tree
that it is read at. The example reads `message Reading { string name = 1; double x = 2; }` by
`where = {"name" = ...}` and `fields = ["x", ...]`:

    1: TEXT the node `name`   2: NUMBER the slot of `x`

A field that is absent may have a value all the same: without presence, a number is 0. What a plan
does not cover is left to the general reader: the records in which a field with the action `GENERAL`
is there, or all records of a message that has no plan.

It is one long module, because the columns of the tables and what fills them belong together.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from google.protobuf.descriptor import FieldDescriptor

from streamer.arrays import Bytes, Floats, Ints
from streamer.contracts.zigzag import write_zigzag
from streamer.profiles.fast_framed import NO_PLAN
from streamer.profiles.paths import Kind
from streamer.profiles.protobuf_values import (
    AnyEnum,
    AnyField,
    AnyMessage,
    ProtobufSchema,
    is_map,
    name_of_value,
)
from streamer.profiles.tree import (
    CHILD,
    CHOICES,
    CHOICES_END,
    FIELDS,
    KIND,
    LEAF,
    LIST,
    NAME,
    NAME_END,
    NEXT,
    NUMBERS,
    SKIPPED,
    SLOT,
    TUPLE,
    TYPE,
    Tree,
)

NUMBER, WIRE, SCALAR, ACTION, VALUE, PLACE, BIT = range(7)
"""Columns of fields: the number of the field, how its values are written, the type of numbers, what
to do with a value, two numbers that tell where to, and the bit of a value that may come once."""

(
    SKIP,
    SKIP_LIST,
    READ,  # a number to the slot VALUE
    TEXT,  # to the node VALUE
    CHOOSE,  # of an enum to the slot VALUE; the choices are in the tables from PLACE on
    ENTER,  # the message VALUE
    ROWS,  # each value is a row, counted at PLACE; the field VALUE says what to do with it
    ELEMENTS,  # counted at PLACE; the tables have from VALUE on the number, and a field for each
    GENERAL,  # only the general reader can read this record
) = range(9)

FIRST, AFTER, NEEDED, DEFAULTS, DEFAULTS_END, COUNTS, COUNTS_END = range(7)
"""Columns of messages: its fields, the bits of those that must be there, its values of absent
fields, and where the tables have the lists to be counted from 0."""

VARINT, FIXED_64, DATA, FIXED_32 = 0, 1, 2, 5
"""How values are written: the lowest three bits of a field's tag."""

_MOST_BITS = 62
_MOST_MESSAGES = 500
_MOST_ELEMENTS = 64
_F = FieldDescriptor
_WIRES = {
    **dict.fromkeys((_F.TYPE_DOUBLE, _F.TYPE_FIXED64, _F.TYPE_SFIXED64), FIXED_64),
    **dict.fromkeys((_F.TYPE_FLOAT, _F.TYPE_FIXED32, _F.TYPE_SFIXED32), FIXED_32),
    **dict.fromkeys((_F.TYPE_STRING, _F.TYPE_BYTES, _F.TYPE_MESSAGE), DATA),
}
_NO_NUMBERS = (_F.TYPE_STRING, _F.TYPE_BYTES, _F.TYPE_MESSAGE, _F.TYPE_BOOL, _F.TYPE_ENUM)


class ProtobufPlan(NamedTuple):
    """The plans of several schemas."""

    schemas: Ints
    """(s, 2) of each the first one of its paths, and that after the last one."""
    paths: Ints
    """(p, 3) where the texts have the bytes that say which message follows, and its plan."""
    texts: Bytes
    messages: Ints
    """(m, 7)"""
    fields: Ints
    """(f, 7)"""
    tables: Ints
    """What messages and fields refer to."""
    slots: Ints
    """(d,) of values of absent fields."""
    defaults: Floats
    """(d,) these values."""
    counts: Ints
    """(nodes,) written while a record is read: the elements of its lists so far."""


class _NoPlanError(Exception):
    pass


class ProtobufPlans:
    """Makes plans, one after the other, for the paths of one profile."""

    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        self._schemas: list[list[int]] = []
        self._paths: list[list[int]] = []
        self._texts = bytearray()
        self._rows = _Rows([], [], [], [], [])

    def add(self, schema: ProtobufSchema) -> int:
        """Add the plans of a schema's messages by their paths; returns their number.

        The first message of the schema also has the path of one zero byte.
        """
        first = len(self._paths)
        planner = _Planner(self._tree, self._rows)
        for path, message in schema.items():
            try:
                plan = planner.plan(message)
            except (_NoPlanError, RecursionError):
                continue
            names = [b"".join(map(write_zigzag, (len(path), *path)))]
            for name in [b"\0", *names] if path == (0,) else names:
                begin = len(self._texts)
                self._texts += name
                self._paths.append([begin, len(self._texts), plan])
        if len(self._paths) == first:
            return NO_PLAN
        self._schemas.append([first, len(self._paths)])
        return len(self._schemas) - 1

    def to_arrays(self) -> ProtobufPlan:
        """Return all plans."""
        rows = self._rows
        return ProtobufPlan(
            np.array(self._schemas, np.int64).reshape(-1, 2),
            np.array(self._paths, np.int64).reshape(-1, 3),
            np.frombuffer(bytes(self._texts), np.uint8),
            np.array(rows.messages, np.int64).reshape(-1, 7),
            np.array(rows.fields, np.int64).reshape(-1, 7),
            np.array(rows.tables, np.int64),
            np.array(rows.slots, np.int64),
            np.array(rows.defaults, np.float64),
            np.zeros(len(self._tree.nodes), np.int64),
        )


class _Rows(NamedTuple):
    """What plans consist of, as in `ProtobufPlan`."""

    messages: list[list[int]]
    fields: list[list[int]]
    tables: list[int]
    slots: list[int]
    defaults: list[float]


class _Planner:
    """Makes plans of the messages of one schema, and of those inside them."""

    def __init__(self, tree: Tree, rows: _Rows) -> None:
        self._tree = tree
        self._rows = rows
        self._known: dict[tuple[str, int], int] = {}

    def plan(self, message: AnyMessage) -> int:
        """Return the number of the plan that reads the message as a record.

        Raises:
            _NoPlanError: a plan cannot say what the general reader makes of it.
            RecursionError: its messages are too deep in each other.
        """
        if self._type(0) != FIELDS:
            raise _NoPlanError
        parts: tuple[list[Any], ...] = self._rows
        kept = [len(part) for part in parts]
        try:
            return self._message(message, 0)
        except (_NoPlanError, RecursionError):
            for part, size in zip(parts, kept, strict=True):
                del part[size:]
            self._known = {key: n for key, n in self._known.items() if n < len(self._rows.messages)}
            raise

    def _message(self, message: AnyMessage, node: int) -> int:
        """Return the plan of a message at a node, or of one that is skipped."""
        key = message.full_name, node
        if key in self._known:
            return self._known[key]
        if len(self._known) == _MOST_MESSAGES or message.is_extendable:
            raise _NoPlanError
        number = self._known[key] = len(self._rows.messages)
        self._rows.messages.append([])
        children = {} if node == SKIPPED else {self._name(c): c for c in self._children(node)}
        bits: dict[str, int] = {}
        needed = 0
        fields: list[list[int]] = []
        slots: dict[int, float] = {}
        for field in message.fields:
            if field.is_required or field.type == _F.TYPE_GROUP:
                raise _NoPlanError
            child = children.get(field.name, SKIPPED)
            row = self._field(field, child)
            once = field.containing_oneof or field
            if not field.is_repeated and (child != SKIPPED or self._has_wanted(field, children)):
                bit = row[BIT] = 1 << bits.setdefault(once.name, len(bits))
                if child != SKIPPED and not field.has_presence:
                    needed |= 0 if self._set_default(field, child, slots) else bit
            fields.append(row)
        if len(bits) > _MOST_BITS:
            raise _NoPlanError
        rows = self._rows
        first, defaults, counts = len(rows.fields), len(rows.slots), len(rows.tables)
        rows.fields.extend(fields)
        rows.slots.extend(slots)
        rows.defaults.extend(slots.values())
        rows.tables.extend(row[PLACE] for row in fields if row[ACTION] in (ROWS, ELEMENTS))
        ends = len(rows.fields), needed, defaults, len(rows.slots), counts, len(rows.tables)
        rows.messages[number] = [first, *ends]
        return number

    @staticmethod
    def _has_wanted(field: AnyField, children: Mapping[str, int]) -> bool:
        """Return whether setting this field empties one that is wanted."""
        group = field.containing_oneof
        return group is not None and any(other.name in children for other in group.fields)

    def _field(self, field: AnyField, node: int) -> list[int]:
        """Return the row of a field whose values are read at a node, or skipped."""
        if node == SKIPPED or not field.is_repeated:
            return self._value(field, node)
        kind = self._type(node)
        if is_map(field) or kind == LEAF:
            # An empty list is not a number, but no field at all in the data.
            raise _NoPlanError
        if kind == LIST:
            inner = self._append(self._value(field, int(self._tree.nodes[node, CHILD])))
            return self._row(field, ROWS, inner, node)
        if kind not in (TUPLE, NUMBERS):
            return self._row(field, GENERAL)
        elements = {int(self._tree.nodes[c, NAME]): c for c in self._children(node)}
        size = max(elements) + 1
        if size > _MOST_ELEMENTS:
            raise _NoPlanError
        found = [
            self._append(self._value(field, elements.get(i, SKIPPED))) for i in range(size + 1)
        ]
        place = len(self._rows.tables)
        self._rows.tables.extend([size, *found])
        return self._row(field, ELEMENTS, place, node)

    def _value(self, field: AnyField, node: int) -> list[int]:
        """Return the row for one value of a field."""
        if field.type == _F.TYPE_MESSAGE:
            fits = node == SKIPPED or (self._type(node) == FIELDS and not is_map(field))
            if not fits:
                return self._no_row(field)
            return self._row(field, ENTER, self._message(field.message_type, node))
        if node == SKIPPED:
            return self._row(field, SKIP_LIST if field.is_repeated else SKIP)
        if self._type(node) == LIST:
            return self._no_row(field)
        if self._type(node) != LEAF:
            # The general reader finds nothing in a number.
            return self._row(field, GENERAL)
        row = self._tree.nodes[node].tolist()
        if field.type == _F.TYPE_STRING:
            return self._row(field, TEXT, node)
        if field.type == _F.TYPE_ENUM and row[KIND] == Kind.CHOICE:
            table = self._choices_of(field.enum_type, node)
            return self._row(field, CHOOSE, row[SLOT], table)
        if field.type not in _NO_NUMBERS and row[KIND] == Kind.NUMBER:
            return self._row(field, READ, row[SLOT])
        return self._no_row(field)

    def _no_row(self, field: AnyField) -> list[int]:
        """Return the row of a value that the general reader refuses."""
        if not field.has_presence and not field.is_repeated:
            raise _NoPlanError
        return self._row(field, GENERAL)

    def _set_default(self, field: AnyField, node: int, slots: dict[int, float]) -> bool:
        """Note the value that an absent field has; returns False if it must be there."""
        if self._type(node) != LEAF:
            return True
        slot, kind = self._tree.nodes[node, [SLOT, KIND]].tolist()
        if kind == Kind.CHOICE:
            choices = self._choices(node)
            name: object = ""
            if field.type == _F.TYPE_ENUM:
                name = name_of_value(field.enum_type, 0)
            slots[slot] = float(choices.index(name)) if name in choices else -1.0
        elif field.type != _F.TYPE_STRING:
            slots[slot] = 0.0
        else:
            return False
        return True

    def _choices_of(self, enum: AnyEnum, node: int) -> int:
        """Append the choice of each value of an enum to the tables; returns where they are."""
        choices, place = self._choices(node), len(self._rows.tables)
        self._rows.tables.append(len(enum.values_by_number))
        for number in enum.values_by_number:
            name = name_of_value(enum, number)
            choice = choices.index(name) if name in choices else -1
            self._rows.tables.extend([number, choice])
        return place

    def _append(self, row: list[int]) -> int:
        self._rows.fields.append(row)
        return len(self._rows.fields) - 1

    @staticmethod
    def _row(field: AnyField, action: int, value: int = 0, place: int = 0) -> list[int]:
        wire = _WIRES.get(field.type, VARINT)
        return [field.number, wire, field.type, action, value, place, 0]

    def _type(self, node: int) -> int:
        return int(self._tree.nodes[node, TYPE])

    def _children(self, node: int) -> list[int]:
        found = []
        child = int(self._tree.nodes[node, CHILD])
        while child >= 0:
            found.append(child)
            child = int(self._tree.nodes[child, NEXT])
        return found

    def _name(self, node: int) -> str:
        begin, end = self._tree.nodes[node, [NAME, NAME_END]].tolist()
        return self._text(begin, end)

    def _choices(self, node: int) -> list[str]:
        begin, end = self._tree.nodes[node, [CHOICES, CHOICES_END]].tolist()
        return [self._text(*span) for span in self._tree.choices[begin:end].tolist()]

    def _text(self, begin: int, end: int) -> str:
        return bytes(self._tree.texts[begin:end]).decode()
