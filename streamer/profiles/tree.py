"""The paths of a profile as a tree in arrays, for the compiled reader."""

from dataclasses import dataclass, field
from itertools import pairwise
from typing import NamedTuple, Self

import numpy as np

from streamer.arrays import Bytes, Ints, Words
from streamer.contracts.decimals import POWERS
from streamer.profiles.paths import EACH, Kind, Slot

TYPE, CHILD, NEXT, NAME, NAME_END, SLOT, KIND, CHOICES, CHOICES_END, REPEATS = range(10)
"""Columns of the nodes. A child has the name between `NAME` and `NAME_END` of the texts; in a
`TUPLE` it has the index `NAME`. `CHILD` is the first child, `NEXT` the next one of the same parent;
-1 is none. `REPEATS` is 1 for the objects of which one after the other looks alike: the elements of
lists, or the whole value if there is no list."""

SKIPPED = -1
"""Stands for the node of a value that the profile does not name."""

FIELDS, LIST, TUPLE, NUMBERS, LEAF = range(5)
"""Types of nodes: an object, a list of samples, a list of which certain elements are wanted, a list
of as many numbers as there are children, a value."""


@dataclass(slots=True)
class _Node:
    children: dict[str, "_Node"] = field(default_factory=dict)
    slot: int = -1
    is_number: bool = False

    @property
    def type(self) -> int:
        if not self.children:
            return LEAF
        if EACH in self.children:
            return LIST
        if not all(name.isdecimal() for name in self.children):
            return FIELDS
        in_order = list(self.children) == [str(i) for i in range(len(self.children))]
        return (
            NUMBERS
            if in_order and all(child.is_number for child in self.children.values())
            else TUPLE
        )


def have_own_places(slots: list[Slot]) -> bool:
    """Return whether no slot is at the place of another one or inside it: a tree has room for all.

    A field may be the device id and tell sensors apart. A list of samples is not one of which
    certain elements are wanted.
    """
    paths = sorted(slot.steps for slot in slots)
    lists = {path[: path.index(EACH)] for path in paths if EACH in path}
    return all(after[: len(path)] != path for path, after in pairwise(paths)) and all(
        path[: len(before)] != before or path[len(before)] == EACH
        for path in paths
        for before in lists
    )


class Tree(NamedTuple):
    """Paths as a tree."""

    nodes: Ints
    """(n, 10), the root first."""
    texts: Bytes
    """Names of fields, and the choices."""
    choices: Ints
    """(m, 2) where each choice begins and ends in the texts."""
    columns: Ints
    """(c,) node of each column of CSV, -1 for one that is not wanted."""
    powers: Words
    """`POWERS`, for reading numbers."""

    @classmethod
    def of(cls, slots: list[Slot], columns: tuple[str, ...] = ()) -> Self:
        """Make a tree of the paths of slots; ``columns`` are the names of all columns of CSV."""
        root = _Node()
        for number, slot in enumerate(slots):
            node = root
            for step in slot.steps:
                node = node.children.setdefault(step, _Node())
            node.slot, node.is_number = number, slot.kind is Kind.NUMBER
        texts = bytearray()
        nodes: list[list[int]] = []
        choices: list[list[int]] = []
        has_list = any(slot.is_of_rows for slot in slots)

        def add(text: str) -> list[int]:
            begin = len(texts)
            texts.extend(text.encode())
            return [begin, len(texts)]

        def lay(node: _Node, name: str, in_tuple: bool, repeats: bool) -> int:
            here = len(nodes)
            names = [int(name), 0] if in_tuple else add(name)
            first = len(choices)
            kind = -1
            if node.slot >= 0:
                kind = slots[node.slot].kind
                choices.extend(add(choice) for choice in slots[node.slot].choices)
            repeats &= node.type in (FIELDS, TUPLE)
            nodes.append([node.type, -1, -1, *names, node.slot, kind, first, len(choices), repeats])
            before = -1
            for child_name, child in node.children.items():
                in_tuple = node.type in (TUPLE, NUMBERS)
                number = lay(child, child_name, in_tuple, repeats=node.type == LIST)
                if before < 0:
                    nodes[here][CHILD] = number
                else:
                    nodes[before][NEXT] = number
                before = number
            return here

        lay(root, "", in_tuple=False, repeats=not has_list)
        node_of_slot = {row[SLOT]: number for number, row in enumerate(nodes)}
        slot_of_column = {slot.steps[-1]: number for number, slot in enumerate(slots)}
        wanted = [
            node_of_slot[slot_of_column[name]] if name in slot_of_column else -1 for name in columns
        ]
        return cls(
            np.array(nodes, np.int64),
            np.frombuffer(bytes(texts), np.uint8),
            np.array(choices, np.int64).reshape(-1, 2),
            np.array(wanted, np.int64),
            POWERS,
        )
