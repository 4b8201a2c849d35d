"""Turns records into rows of numbers, as a recipe says. Pure.

The encoder is fitted to the training data in one pass: means and deviations, the edges of bins, and
the words that occur.
"""

import re
from collections import Counter
from collections.abc import Sequence
from itertools import product
from typing import Final

import msgspec
import numpy as np
from scipy import sparse

from streamer.prediction_server.amazon_ml.recipe import (
    Bins,
    Numbers,
    Product,
    Term,
    TextStep,
    Words,
)
from streamer.prediction_server.amazon_ml.records import is_missing
from streamer.prediction_server.amazon_ml.schema import DataSchema
from streamer.prediction_server.amazon_ml.variable_statistics import (
    VariableStatistics,
    read_numbers,
)

MOST_WORDS: Final = 100_000
"""Different words of a term that a model knows: the most frequent ones."""

_PUNCTUATION: Final = re.compile(r"[^\w\s]|_")
_SPACE: Final = re.compile(r"\s+")


class FittedNumbers(msgspec.Struct, frozen=True, tag=True):
    """Numeric columns, with what is subtracted and what they are divided by.

    A missing value becomes the mean of its column.
    """

    columns: list[str]
    means: list[float]
    shifts: list[float]
    scales: list[float]

    @property
    def width(self) -> int:
        """Number of encoded columns."""
        return len(self.columns)


class FittedBins(msgspec.Struct, frozen=True, tag=True):
    """A numeric column with the inner edges of its bins. A missing value is in none."""

    column: str
    edges: list[float]

    @property
    def width(self) -> int:
        """Number of encoded columns."""
        return len(self.edges) + 1


class FittedWords(msgspec.Struct, frozen=True, tag=True):
    """A term of words with the words that it knows; others are ignored."""

    term: Words | Product
    words: list[str]

    @property
    def width(self) -> int:
        """Number of encoded columns."""
        return len(self.words)


class Encoder(msgspec.Struct, frozen=True):
    """The fitted terms, in the order of the encoded columns."""

    parts: list[FittedNumbers | FittedBins | FittedWords]

    @property
    def width(self) -> int:
        """Number of encoded columns."""
        return sum(part.width for part in self.parts)

    @property
    def variables(self) -> list[str]:
        """Columns that records must have."""
        columns: list[str] = []
        for part in self.parts:
            match part:
                case FittedNumbers():
                    columns += part.columns
                case FittedBins():
                    columns.append(part.column)
                case FittedWords():
                    columns += [words.column for words in _factors(part.term)]
        return list(dict.fromkeys(columns))

    def encode(self, columns: Sequence[str], rows: list[list[str]]) -> sparse.csr_matrix:
        """Encode records.

        Args:
            columns: names of the fields; they include `variables`.
            rows: the fields of valid records.

        Returns:
            (rows, width).
        """
        places = {name: i for i, name in enumerate(columns)}
        blocks = [_encode(part, places, rows) for part in self.parts]
        return sparse.csr_matrix(sparse.hstack(blocks, format="csr"))


class EncoderFit:
    """Collects what an encoder needs from the training data."""

    def __init__(self, terms: list[Term], schema: DataSchema) -> None:
        self._terms = terms
        self.statistics = VariableStatistics(schema)
        self._places = {name: i for i, name in enumerate(schema.names)}
        self._counts = {term: Counter[str]() for term in terms if isinstance(term, Words | Product)}

    def add(self, rows: list[list[str]]) -> None:
        """Add valid records."""
        self.statistics.add(rows)
        for term, counter in self._counts.items():
            for row in rows:
                counter.update(set(_read_words(term, self._places, row)))
            if len(counter) > 2 * MOST_WORDS:
                self._counts[term] = Counter(dict(counter.most_common(MOST_WORDS)))

    def finish(self) -> Encoder:
        """Return the encoder."""
        parts: list[FittedNumbers | FittedBins | FittedWords] = []
        numbers = [term for term in self._terms if isinstance(term, Numbers)]
        if numbers:
            parts.append(self._fit_numbers(numbers))
        for term in self._terms:
            match term:
                case Bins():
                    parts.append(self._fit_bins(term))
                case Words() | Product():
                    known = [word for word, _ in self._counts[term].most_common(MOST_WORDS)]
                    parts.append(FittedWords(term, sorted(known)))
        return Encoder(parts)

    def _fit_numbers(self, terms: list[Numbers]) -> FittedNumbers:
        where = [self.statistics.numeric.index(term.column) for term in terms]
        means = self.statistics.means[where]
        deviations = self.statistics.deviations[where]
        normalized = np.array([term.normalized for term in terms])
        # A constant column has no deviation; it stays 0 after its mean was subtracted.
        scales = np.where(normalized & (deviations > 0), deviations, 1.0)
        return FittedNumbers(
            [term.column for term in terms],
            means.tolist(),
            np.where(normalized, means, 0.0).tolist(),
            scales.tolist(),
        )

    def _fit_bins(self, term: Bins) -> FittedBins:
        shares = np.arange(1, term.count) / term.count
        edges = np.unique(self.statistics.quantiles(term.column, shares))
        return FittedBins(term.column, edges.tolist())


def _encode(
    part: FittedNumbers | FittedBins | FittedWords, places: dict[str, int], rows: list[list[str]]
) -> sparse.csr_matrix:
    match part:
        case FittedNumbers():
            values = read_numbers(rows, [places[name] for name in part.columns])
            values = np.where(np.isfinite(values), values, np.array(part.means))
            return sparse.csr_matrix((values - np.array(part.shifts)) / np.array(part.scales))
        case FittedBins():
            values = read_numbers(rows, [places[part.column]])[:, 0]
            there = np.flatnonzero(np.isfinite(values))
            bins = np.searchsorted(np.array(part.edges), values[there], "right")
            ones = np.ones(len(there))
            return sparse.csr_matrix((ones, (there, bins)), shape=(len(rows), part.width))
        case FittedWords():
            index = {word: i for i, word in enumerate(part.words)}
            found = [
                (number, index[word])
                for number, row in enumerate(rows)
                for word in dict.fromkeys(_read_words(part.term, places, row))
                if word in index
            ]
            numbers, words = np.array(found, np.int64).reshape(-1, 2).T
            ones = np.ones(len(found))
            return sparse.csr_matrix((ones, (numbers, words)), shape=(len(rows), part.width))


def _factors(term: Words | Product) -> tuple[Words, ...]:
    return (term,) if isinstance(term, Words) else term.factors


def _read_words(term: Words | Product, places: dict[str, int], row: list[str]) -> list[str]:
    found = [_split_words(factor, row[places[factor.column]]) for factor in _factors(term)]
    return found[0] if len(found) == 1 else ["\t".join(pair) for pair in product(*found)]


def _split_words(term: Words, field: str) -> list[str]:
    if is_missing(field):
        return []
    text = field
    size, sparse_pairs = 1, False
    for step in term.steps:
        match step:
            case TextStep(name="lowercase"):
                text = text.lower()
            case TextStep(name="no_punct"):
                text = _PUNCTUATION.sub("", text)
            case TextStep(name="ngram"):
                size = step.size
            case TextStep(name="osb"):
                size, sparse_pairs = step.size, True
    if not term.is_text and not any(step.name in {"ngram", "osb"} for step in term.steps):
        return [text]
    words = _SPACE.split(text.strip())
    if sparse_pairs:
        return [
            f"{word}{'_' * apart}{words[i + apart]}"
            for i, word in enumerate(words)
            for apart in range(1, min(size, len(words) - i))
        ]
    # Groups of up to `size` words, as the service makes them.
    return [
        " ".join(words[i : i + length])
        for length in range(1, size + 1)
        for i in range(len(words) - length + 1)
    ]
