"""Reads what a data source says of its data: the schema of the columns, and the splitting. Pure."""

import hashlib
from dataclasses import dataclass
from typing import Any, Literal

import msgspec

from streamer.errors import UNDECODABLE

TYPES = (
    "BINARY",
    "CATEGORICAL",
    "NUMERIC",
    "TEXT",
    "WEIGHTED_INT_SEQUENCE",
    "WEIGHTED_STRING_SEQUENCE",
)


class InvalidDataError(Exception):
    """The data of an entity are not as they should be; the message is for its owner."""


@dataclass(frozen=True, slots=True)
class DataSchema:
    """The columns of CSV files.

    Attributes:
        names: names of the columns.
        types: type of each column, one of `TYPES`.
        target: the column to predict; None if there is none.
        row_id: the column that identifies a record in the output; None if there is none.
        weight: the column with the weight of a record in training; None if there is none.
        has_header: whether the first line of each file has the names.
        excluded: columns that a model does not learn from.
    """

    names: tuple[str, ...]
    types: tuple[str, ...]
    target: str | None
    row_id: str | None
    weight: str | None
    has_header: bool
    excluded: frozenset[str]

    @classmethod
    def parse(cls, text: str | bytes) -> "DataSchema":
        """Read a schema. Both documented spellings are accepted, `fieldName` and `attributeName`.

        Raises:
            InvalidDataError: the text is not a schema.
        """
        found = _read_object(text, "the schema")
        attributes = found.get("attributes")
        if not isinstance(attributes, list) or not attributes:
            raise InvalidDataError("the schema has no attributes")
        names, types = [], []
        for each in attributes:
            if not isinstance(each, dict):
                raise InvalidDataError("an attribute of the schema is not a JSON object")
            name = each.get("fieldName", each.get("attributeName"))
            kind = each.get("fieldType", each.get("attributeType"))
            if not isinstance(name, str) or not name:
                raise InvalidDataError("an attribute of the schema has no fieldName")
            if kind not in TYPES:
                raise InvalidDataError(
                    f"the fieldType of {name} must be one of {', '.join(TYPES)}: {kind!r}"
                )
            names.append(name)
            types.append(kind)
        if len(set(names)) < len(names):
            raise InvalidDataError("the schema has two attributes of the same name")
        if (form := found.get("dataFormat", "CSV")) != "CSV":
            raise InvalidDataError(f"the dataFormat must be CSV: {form!r}")
        excluded = found.get("excludedVariableNames", found.get("excludedAttributeNames")) or []
        schema = cls(
            tuple(names),
            tuple(types),
            target=found.get("targetFieldName", found.get("targetAttributeName")),
            row_id=found.get("recordAnnotationFieldName", found.get("rowId")),
            weight=found.get("recordWeightFieldName"),
            has_header=bool(found.get("dataFileContainsHeader", False)),
            excluded=frozenset(excluded),
        )
        special = {schema.target, schema.row_id, schema.weight} - {None}
        if unknown := (special | schema.excluded) - set(names):
            raise InvalidDataError(f"the schema has no attribute {min(map(str, unknown))!r}")
        return schema

    @property
    def variables(self) -> dict[str, str]:
        """Type of each column that a model may learn from."""
        others = self.excluded | {self.target, self.row_id, self.weight}
        pairs = zip(self.names, self.types, strict=True)
        return {name: kind for name, kind in pairs if name not in others}


@dataclass(frozen=True, slots=True)
class Splitting:
    """The part of the records that a data source uses.

    Attributes:
        begin: begin of the part, in percent.
        end: end of the part, in percent.
        complement: whether all records outside of the part are used instead.
        seed: seed of a random splitting; None for one in the order of the records.
    """

    begin: float = 0.0
    end: float = 100.0
    complement: bool = False
    seed: str | None = None

    @classmethod
    def parse(cls, text: str | None) -> "Splitting":
        """Read the `DataRearrangement` of a data source.

        Raises:
            InvalidDataError: the text is not a splitting.
        """
        if not text:
            return cls()
        splitting = _read_object(text, "the DataRearrangement").get("splitting", {})
        if not isinstance(splitting, dict):
            raise InvalidDataError("the splitting of the DataRearrangement is not a JSON object")
        begin = _read_percent(splitting, "percentBegin", 0.0)
        end = _read_percent(splitting, "percentEnd", 100.0)
        if begin >= end:
            raise InvalidDataError("percentBegin must be less than percentEnd")
        strategy: Literal["sequential", "random"] = splitting.get("strategy", "sequential")
        if strategy not in {"sequential", "random"}:
            raise InvalidDataError(f"the strategy must be sequential or random: {strategy!r}")
        complement = splitting.get("complement", False)
        if complement not in {True, False, "true", "false"}:
            raise InvalidDataError(f"complement must be true or false: {complement!r}")
        seed = str(splitting.get("randomSeed", "")) if strategy == "random" else None
        return cls(begin, end, complement in {True, "true"}, seed)

    def uses(self, index: int, total: int, offset: int) -> bool:
        """Return whether a record is used.

        Args:
            index: number of the record, from 0.
            total: number of all records.
            offset: its first byte among those of all files; the random number depends on it.
        """
        if self.seed is None:
            part = int(self.begin * total / 100) <= index < int(self.end * total / 100)
        else:
            drawn = hashlib.blake2b(f"{self.seed}/{offset}".encode(), digest_size=8).digest()
            part = self.begin <= int.from_bytes(drawn) / 2**64 * 100 < self.end
        return part != self.complement


def _read_percent(splitting: dict[str, Any], name: str, default: float) -> float:
    value = splitting.get(name, default)
    try:
        percent = float(value)
    except (TypeError, ValueError):
        raise InvalidDataError(f"{name} must be a number from 0 to 100: {value!r}") from None
    if not 0 <= percent <= 100:
        raise InvalidDataError(f"{name} must be a number from 0 to 100: {value!r}")
    return percent


def _read_object(text: str | bytes, what: str) -> dict[str, Any]:
    try:
        found = msgspec.json.decode(text)
    except UNDECODABLE as error:
        raise InvalidDataError(f"{what} is not JSON: {error}") from None
    if not isinstance(found, dict):
        raise InvalidDataError(f"{what} is not a JSON object")
    return found
