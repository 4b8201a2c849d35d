"""Reads recipes: which columns a model learns from, and how they are transformed. Pure.

A recipe is a JSON object with `groups`, `assignments` and `outputs`. An output is a column, a group
such as `ALL_NUMERIC`, or a transformation of these: `normalize(x)`, `quantile_bin(x, 50)`,
`lowercase(x)`, `no_punct(x)`, `ngram(x, 2)`, `osb(x, 3)`, `cartesian(x, y)`.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal

import msgspec

from streamer.prediction_server.amazon_ml.schema import InvalidDataError

DEFAULT: Final = (
    '{"groups":{},"assignments":{},"outputs":'
    '["ALL_BINARY","ALL_CATEGORICAL","normalize(ALL_NUMERIC)","ALL_TEXT"]}'
)
"""The recipe of a model whose request has none."""

_GROUPS: Final = {
    "ALL_BINARY": {"BINARY"},
    "ALL_CATEGORICAL": {"CATEGORICAL"},
    "ALL_NUMERIC": {"NUMERIC"},
    "ALL_TEXT": {"TEXT"},
    "ALL_INPUTS": {"BINARY", "CATEGORICAL", "NUMERIC", "TEXT"},
}
_TOKEN: Final = re.compile(r"\s*(?:'([^']*)'|\"([^\"]*)\"|([\w.\-]+)|([(),]))")
_MOST_BINS: Final = 1000
_LONGEST_NGRAM: Final = 10


class Numbers(msgspec.Struct, frozen=True, tag=True):
    """A numeric column as it is, or with mean 0 and standard deviation 1."""

    column: str
    normalized: bool = False


class Bins(msgspec.Struct, frozen=True, tag=True):
    """A numeric column as the one of `count` bins of equal frequency in which a value lies."""

    column: str
    count: int


class TextStep(msgspec.Struct, frozen=True):
    """A transformation of text; `size` is that of `ngram` and `osb`."""

    name: Literal["lowercase", "no_punct", "ngram", "osb"]
    size: int = 1


class Words(msgspec.Struct, frozen=True, tag=True):
    """A categorical column as its value, or a text as its words or groups of words."""

    column: str
    is_text: bool
    steps: tuple[TextStep, ...] = ()


class Product(msgspec.Struct, frozen=True, tag=True):
    """All pairs of the words of two or more terms."""

    factors: tuple[Words, ...]


Term = Numbers | Bins | Words | Product


def parse_recipe(text: str | bytes, variables: Mapping[str, str]) -> list[Term]:
    """Return the terms of a recipe, each once.

    Args:
        text: the recipe.
        variables: type of each column that a model may learn from.

    Raises:
        InvalidDataError: the recipe is malformed, or asks for what is not possible.
    """
    try:
        found = msgspec.json.decode(text)
        groups, assignments = found.get("groups") or {}, found.get("assignments") or {}
        outputs = found["outputs"]
        if not isinstance(outputs, list) or not outputs:
            raise InvalidDataError("the recipe has no outputs")
        reader = _Reader(variables, dict(groups), dict(assignments))
        terms = [term for output in outputs for term in reader.read(str(output))]
    except (msgspec.DecodeError, KeyError, AttributeError, TypeError, ValueError) as error:
        raise InvalidDataError(
            f"the recipe is not a JSON object with outputs: {type(error).__name__}: {error}"
        ) from None
    except RecursionError:
        raise InvalidDataError("a group or an assignment of the recipe names itself") from None
    if not terms:
        raise InvalidDataError("the recipe has no inputs: the data have no columns of its types")
    return list(dict.fromkeys(terms))


class _Reader:
    """Reads expressions, given the groups and assignments."""

    def __init__(
        self, variables: Mapping[str, str], groups: dict[str, Any], assignments: dict[str, Any]
    ) -> None:
        self._variables = variables
        self._groups = groups
        self._assignments = assignments

    def read(self, expression: str) -> list[Term]:
        """Return the terms of an expression."""
        tokens = _split(expression)
        terms, rest = self._read(tokens)
        if rest:
            raise InvalidDataError(f"the recipe has too much after an expression: {expression!r}")
        return terms

    def _read(self, tokens: Sequence[str]) -> tuple[list[Term], Sequence[str]]:
        if not tokens or tokens[0] in "(),":
            raise InvalidDataError(f"the recipe has no name before {' '.join(tokens) or 'its end'}")
        name, rest = tokens[0], tokens[1:]
        if not rest or rest[0] != "(":
            return self._read_name(name), rest
        arguments: list[list[Term]] = []
        numbers: list[int] = []
        rest = rest[1:]
        while rest and rest[0] != ")":
            if rest[0].isdecimal():
                numbers.append(int(rest[0]))
                rest = rest[1:]
            else:
                terms, rest = self._read(rest)
                arguments.append(terms)
            if rest and rest[0] == ",":
                rest = rest[1:]
        if not rest:
            raise InvalidDataError(f"the recipe has an open bracket after {name}")
        return self._apply(name, arguments, numbers), rest[1:]

    def _read_name(self, name: str) -> list[Term]:
        if name in self._assignments:
            return self.read(str(self._assignments[name]))
        if name in self._groups:
            return self.read(str(self._groups[name]))
        if name in _GROUPS:
            columns = [one for one, kind in self._variables.items() if kind in _GROUPS[name]]
            return [self._take(column) for column in columns]
        if name in self._variables:
            return [self._take(name)]
        raise InvalidDataError(
            f"the recipe names {name!r}, which is no column, group or assignment"
        )

    def _take(self, column: str) -> Term:
        kind = self._variables[column]
        if kind.startswith("WEIGHTED"):
            raise InvalidDataError(f"{column} is {kind}, which this server cannot learn from")
        return Numbers(column) if kind == "NUMERIC" else Words(column, kind == "TEXT")

    def _apply(self, name: str, arguments: list[list[Term]], numbers: list[int]) -> list[Term]:
        if not arguments:
            raise InvalidDataError(f"{name} of the recipe has no arguments")
        all_terms = [term for terms in arguments for term in terms]
        match name:
            case "group":
                return all_terms
            case "group_remove" | "all_except":
                removed = [term for terms in arguments[1:] for term in terms]
                return [term for term in arguments[0] if term not in removed]
            case "normalize":
                return [Numbers(term.column, True) for term in _numeric(name, all_terms)]
            case "quantile_bin":
                count = _read_size(name, numbers, 10, _MOST_BINS)
                return [Bins(term.column, count) for term in _numeric(name, all_terms)]
            case "lowercase" | "no_punct":
                return _add_step(name, all_terms, TextStep(name))
            case "ngram" | "osb":
                size = _read_size(name, numbers, 2, _LONGEST_NGRAM)
                return _add_step(name, all_terms, TextStep(name, size))
            case "cartesian":
                return [_multiply(all_terms)]
        raise InvalidDataError(f"the recipe has an unknown transformation {name!r}")


def _read_size(name: str, numbers: list[int], default: int, most: int) -> int:
    """Return the number among the arguments of a transformation."""
    size = numbers[0] if numbers else default
    if not 2 <= size <= most:
        raise InvalidDataError(f"{name} of the recipe takes a number from 2 to {most}, not {size}")
    return size


def _numeric(name: str, terms: list[Term]) -> list[Numbers]:
    chosen = [term for term in terms if isinstance(term, Numbers)]
    if len(chosen) < len(terms):
        raise InvalidDataError(f"{name} of the recipe takes numeric columns only")
    return chosen


def _add_step(name: str, terms: list[Term], step: TextStep) -> list[Term]:
    added: list[Term] = []
    for term in terms:
        if not isinstance(term, Words):
            raise InvalidDataError(f"{name} of the recipe takes text only")
        added.append(msgspec.structs.replace(term, steps=(*term.steps, step)))
    return added


def _multiply(terms: list[Term]) -> Product:
    factors = [term for term in terms if isinstance(term, Words)]
    if len(factors) < len(terms):
        raise InvalidDataError("cartesian of the recipe takes categories and text only")
    if len(factors) < 2:
        raise InvalidDataError("cartesian of the recipe takes two arguments or more")
    return Product(tuple(factors))


def _split(expression: str) -> list[str]:
    tokens, place = [], 0
    expression = expression.strip()
    while place < len(expression):
        found = _TOKEN.match(expression, place)
        if found is None:
            raise InvalidDataError(f"the recipe has a malformed expression: {expression[:80]!r}")
        tokens.append(next(group for group in found.groups() if group is not None))
        place = found.end()
    return tokens
