"""Plans for reading Avro: a schema and the paths of a profile, as instructions for `avro_walk`.

Avro's data have no names and no types: the schema says what comes next. A plan therefore is made
once for a schema, and says what to do with the bytes of a record, one value after the other. The
example reads `{"name": "acc", "x": 0.5}` by `where = {"name" = ...}` and `fields = ["x", ...]`:

    TEXT the node `name`   DOUBLE the slot of `x`   END

The instructions of a record inside a record follow those of the fields before it, so a schema whose
types contain themselves has no end: its plan leaves the records that get there to the general
reader (`GENERAL`), and so does every value that its slot cannot hold.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final, NamedTuple

import numpy as np

from streamer.arrays import Ints
from streamer.profiles.avro_values import AvroSchema
from streamer.profiles.cells import DEEPEST
from streamer.profiles.fast_framed import NO_PLAN
from streamer.profiles.paths import Kind
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

(
    END,  # of a record
    GENERAL,  # only the general reader can read this record
    SKIP,  # A bytes
    SKIP_LONG,
    SKIP_DATA,  # bytes, with their number before them
    SKIP_TEXT,  # the same, and they must be UTF-8
    LONG,  # to the slot A
    FLOAT,  # to the slot A
    DOUBLE,  # to the slot A
    TEXT,  # to the node A
    ENUM,  # of A symbols, to the slot B, or nowhere; the choice of each is in the tables from C on
    UNION,  # of B types; where each is read is in the tables from A on
    JUMP,  # to the instruction A
    OPEN,  # an array or a map of the level A, whose node is B
    BLOCK,  # of the level A; without another block, go on at B
    ROW,  # each element of the level A is a row
    ELEMENT,  # of the level A; where it is read for each node is in the tables from B on
    KEY,  # the same of a value of a map, after its name
    AGAIN,  # at B if the block of the level A has more elements, else at C
    FIRST_ROW,  # what follows is not in the rows of an array
) = range(20)
"""Kinds of instructions, and their numbers A, B and C. The level of an array or a map is its
place on the stack."""

_NOWHERE: Final = -1
_MOST_VALUES = 5_000
"""Of a plan; types that are used many times are read at each place by instructions of their own."""
_SIZES = {"boolean": 1, "float": 4, "double": 8}
_SKIPS = {"int": SKIP_LONG, "long": SKIP_LONG, "bytes": SKIP_DATA, "string": SKIP_TEXT}
_NUMBERS = {"int": LONG, "long": LONG, "float": FLOAT, "double": DOUBLE}


class AvroPlan(NamedTuple):
    """The plans of several schemas."""

    code: Ints
    """(n, 4) kind of each instruction, and its numbers."""
    tables: Ints
    """(m,) what the instructions refer to."""


class _TooLongError(Exception):
    pass


class AvroPlans:
    """Makes plans, one after the other, for the paths of one profile."""

    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        self._code: list[list[int]] = []
        self._tables: list[int] = []

    def add(self, schema: AvroSchema) -> int:
        """Add the plan of a schema; returns the instruction that it starts with, or `NO_PLAN`."""
        start, tables = len(self._code), len(self._tables)
        try:
            _Planner(schema.named, self._tree, self._code, self._tables).plan(schema.type)
        except Exception:  # noqa: BLE001 - whatever is in the registry: the general reader says it
            del self._code[start:], self._tables[tables:]
            return NO_PLAN
        return start

    def to_arrays(self) -> AvroPlan:
        """Return all plans."""
        return AvroPlan(
            np.array(self._code, np.int64).reshape(-1, 4), np.array(self._tables, np.int64)
        )


class _Planner:
    """Makes the plan of one schema."""

    def __init__(
        self, named: Mapping[str, Any], tree: Tree, code: list[list[int]], tables: list[int]
    ) -> None:
        self._named = named
        self._tree = tree
        self._code = code
        self._tables = tables
        self._values = 0
        self._open: list[str] = []

    def plan(self, schema: Any) -> None:
        """Append the instructions that read a record."""
        self._read(schema, 0, 0)
        self._emit(END)

    def _read(self, schema: Any, node: int, level: int) -> None:
        """Append what reads a value of a type, inside so many lists, at a node or skips it."""
        self._values += 1
        if self._values > _MOST_VALUES:
            raise _TooLongError
        if isinstance(schema, str) and schema in self._named:
            if schema in self._open:
                self._emit(GENERAL)
                return
            self._open.append(schema)
            self._read(self._named[schema], node, level)
            self._open.pop()
            return
        if isinstance(schema, list):
            union = self._emit(UNION, 0, len(schema))
            parts = {i: partial(self._read, part, node, level) for i, part in enumerate(schema)}
            self._code[union][1] = self._branch(parts)
            return
        kind = schema["type"] if isinstance(schema, dict) else schema
        if kind == "null":
            return
        if kind in ("record", "error"):
            self._read_record(schema, node, level)
        elif kind in ("array", "map"):
            self._read_elements(schema, node, level)
        elif node == SKIPPED:
            self._skip(schema, kind)
        elif self._type(node) == LEAF:
            self._read_leaf(schema, kind, node)
        else:
            self._emit(GENERAL)

    def _skip(self, schema: Any, kind: str) -> None:
        if kind == "enum":
            self._emit(ENUM, len(schema["symbols"]), _NOWHERE)
        elif kind in _SKIPS:
            self._emit(_SKIPS[kind])
        else:
            self._emit(SKIP, schema["size"] if kind == "fixed" else _SIZES[kind])

    def _read_leaf(self, schema: Any, kind: str, node: int) -> None:
        row = self._tree.nodes[node].tolist()
        if kind == "string":
            self._emit(TEXT, node)
        elif row[KIND] == Kind.NUMBER and kind in _NUMBERS:
            self._emit(_NUMBERS[kind], row[SLOT])
        elif row[KIND] == Kind.CHOICE and kind == "enum":
            spans = self._tree.choices[row[CHOICES] : row[CHOICES_END]].tolist()
            choices = [self._text(begin, end) for begin, end in spans]
            symbols = schema["symbols"]
            self._emit(ENUM, len(symbols), row[SLOT], len(self._tables))
            self._tables += [choices.index(s) if s in choices else -1 for s in symbols]
        else:
            self._emit(GENERAL)

    def _read_record(self, schema: Any, node: int, level: int) -> None:
        fields = schema["fields"]
        children: dict[str, int] = {}
        if node != SKIPPED:
            # Of two fields with one name the last one counts, even if it is null.
            has_names_twice = len({field["name"] for field in fields}) < len(fields)
            if self._type(node) != FIELDS or has_names_twice:
                self._emit(GENERAL)
                return
            children = {self._name(child): child for child in self._children(node)}
        for field in fields:
            self._read(field["type"], children.get(field["name"], SKIPPED), level)

    def _read_elements(self, schema: Any, node: int, level: int) -> None:
        """Append what reads the blocks of an array or a map."""
        is_map = schema["type"] == "map"
        kind = self._type(node)
        fits = kind == SKIPPED or (kind == FIELDS if is_map else kind in (LIST, TUPLE, NUMBERS))
        if not fits or level == DEEPEST:
            self._emit(GENERAL)
            return
        read = partial(self._read, schema["values" if is_map else "items"], level=level + 1)
        self._emit(OPEN, level, node)
        block = self._emit(BLOCK, level)
        first = len(self._code)
        if kind == SKIPPED:
            if is_map:
                self._emit(SKIP_TEXT)
            read(SKIPPED)
        elif kind == LIST:
            self._emit(ROW, level)
            read(int(self._tree.nodes[node, CHILD]))
        else:
            choose = self._emit(KEY if is_map else ELEMENT, level)
            parts = {child: partial(read, child) for child in self._children(node)}
            self._code[choose][2] = self._branch(parts, partial(read, SKIPPED))
        self._emit(AGAIN, level, first, block)
        self._code[block][2] = len(self._code)
        if kind == LIST:
            self._emit(FIRST_ROW)

    def _branch(
        self, parts: Mapping[int, Callable[[], None]], otherwise: Callable[[], None] | None = None
    ) -> int:
        """Append parts of which one is executed, and before them what is if there is none.

        Returns the place of the table in which the number of each part has its first instruction.
        """
        table = len(self._tables)
        self._tables += [0] * (max(parts, default=-1) + 1)
        ends = []
        if otherwise is not None:
            otherwise()
            ends.append(self._emit(JUMP))
        for number, part in parts.items():
            self._tables[table + number] = len(self._code)
            part()
            ends.append(self._emit(JUMP))
        for end in ends:
            self._code[end][1] = len(self._code)
        return table

    def _emit(self, *instruction: int) -> int:
        """Append an instruction; returns its place."""
        self._code.append([*instruction, 0, 0, 0][:4])
        return len(self._code) - 1

    def _type(self, node: int) -> int:
        """Return the type of a node, `SKIPPED` for what has none."""
        return SKIPPED if node == SKIPPED else int(self._tree.nodes[node, TYPE])

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

    def _text(self, begin: int, end: int) -> str:
        return bytes(self._tree.texts[begin:end]).decode()
