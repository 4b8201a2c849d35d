"""A tree of classifiers: turns the logits of its nodes into probabilities of classes.

A node divides a set of classes into outcomes, which are sets of classes. The probabilities of its
outcomes are the softmax of their logits. An outcome may have several logits, one for each place
where the device may be: its probability is then the sum of theirs. The probability of a class is
the product of the probabilities of all outcomes that contain it. The last logit of each node is 0,
so a node with two logits has one row of weights. Boosted trees add a value to all logits of an
outcome.
"""

from collections.abc import Sequence

import numpy as np

from streamer.arrays import Floats, Ints

Outcomes = tuple[tuple[int, ...], ...]
"""Outcomes of a node: for each one the positions of its classes."""


class ClassTree:
    """Nodes that divide classes.

    Attributes:
        nodes: outcomes of each node; the first node has all classes.
        outcome_of_logit: of each node, the outcome of each of its logits, in ascending order.
        rows: number of logits of all nodes that are not always 0.
        outcomes: number of outcomes of all nodes.
    """

    def __init__(
        self, nodes: Sequence[Outcomes], outcome_of_logit: Sequence[tuple[int, ...]] | None = None
    ) -> None:
        """Make a tree; without `outcome_of_logit` each outcome has one logit."""
        self.nodes = tuple(nodes)
        self.outcome_of_logit = tuple(
            outcome_of_logit or (tuple(range(len(outcomes))) for outcomes in nodes)
        )
        self._sizes = np.array([len(outcomes) for outcomes in self.outcome_of_logit])
        changes = [np.diff(outcomes, prepend=-1) for outcomes in self.outcome_of_logit]
        self._outcome_firsts = np.flatnonzero(np.concatenate(changes))
        self._firsts = np.concatenate([[0], self._sizes.cumsum()[:-1]])
        lasts = self._firsts + self._sizes - 1
        self._columns = np.setdiff1d(np.arange(self._sizes.sum()), lasts)
        self.rows = len(self._columns)
        self.outcomes = len(self._outcome_firsts)
        self._outcomes = np.cumsum(np.concatenate(changes) > 0) - 1
        self._paths = _make_paths(nodes)

    def select_logits(self, node: int, logits: Floats) -> Floats:
        """Return all logits (n, logits) of one node, from the logits (n, rows) of all nodes."""
        first = int((self._sizes[:node] - 1).sum())
        own = logits[:, first : first + self._sizes[node] - 1]
        return np.concatenate([own, np.zeros((len(logits), 1))], axis=1)

    def select_values(self, node: int, values: Floats) -> Floats:
        """Return the values (n, logits) for the logits of one node, from those of all outcomes."""
        first = int(self._sizes[:node].sum())
        return values[:, self._outcomes[first : first + self._sizes[node]]]

    def repeat_by_outcome(self, values: Sequence[float]) -> Floats:
        """Return values (outcomes,) for all outcomes, from one value for each node."""
        repeated: Floats = np.repeat(np.asarray(values, np.float64), [*map(len, self.nodes)])
        return repeated

    def repeat_by_row(self, values: Sequence[float]) -> Floats:
        """Return values (rows,) for all rows, from one value for each node."""
        repeated: Floats = np.repeat(np.asarray(values, np.float64), self._sizes - 1)
        return repeated

    def probabilities(self, logits: Floats, values: Floats | None = None) -> Floats:
        """Return probabilities (n, classes) from logits (n, rows) of any magnitude.

        The result for a row does not depend on the other rows, to the last bit.

        Args:
            logits: of the nodes.
            values: (n, outcomes), what is added to all logits of an outcome; None for nothing.
        """
        whole = np.zeros((len(logits), int(self._sizes.sum())))
        whole[:, self._columns] = logits
        if values is not None:
            whole += values[:, self._outcomes]
        # Relative to the largest logit of the node, so that `exp` cannot overflow.
        whole -= np.maximum.reduceat(whole, self._firsts, axis=1).repeat(self._sizes, axis=1)
        np.exp(whole, out=whole)
        whole /= np.add.reduceat(whole, self._firsts, axis=1).repeat(self._sizes, axis=1)
        whole = np.add.reduceat(whole, self._outcome_firsts, axis=1)
        padded = np.concatenate([whole, np.ones((len(whole), 1))], axis=1)
        scores = padded[:, self._paths[0]]
        for step in self._paths[1:]:
            scores *= padded[:, step]
        return scores


def _make_paths(nodes: Sequence[Outcomes]) -> Ints:
    """Return the columns (steps, classes) on the path to each class, padded with ones."""
    outcomes = [outcome for node in nodes for outcome in node]
    classes = 1 + max(c for outcome in outcomes for c in outcome)
    paths = [[i for i, outcome in enumerate(outcomes) if c in outcome] for c in range(classes)]
    steps = max(map(len, paths))
    return np.array([path + [len(outcomes)] * (steps - len(path)) for path in paths]).T
