"""From the logits of a tree's nodes to probabilities of classes.

A node gives each of its outcomes, which are sets of classes, the softmax of their logits. The
probability of a class is the product of those of the outcomes that it belongs to. The last outcome
of each node has the logit 0, and the others are relative to it, so a node of two is one row.
"""

from collections.abc import Sequence

import numpy as np

from streamer.arrays import Floats, Ints

Outcomes = tuple[tuple[int, ...], ...]
"""Of a node: for each outcome the positions of the classes that it stands for."""


class ClassTree:
    """How nodes divide classes.

    Attributes:
        nodes: outcomes of each; the first has all classes.
        rows: how many logits they have together.
    """

    def __init__(self, nodes: Sequence[Outcomes]) -> None:
        self.nodes = tuple(nodes)
        self._sizes = np.array([len(outcomes) for outcomes in nodes])
        self._firsts = np.concatenate([[0], self._sizes.cumsum()[:-1]])
        lasts = self._firsts + self._sizes - 1
        self._columns = np.setdiff1d(np.arange(self._sizes.sum()), lasts)
        self.rows = len(self._columns)
        self._ways = _ways(nodes)

    def of(self, node: int, logits: Floats) -> Floats:
        """The logits (n, outcomes) of one node, the last one's too, of those (n, rows) of all."""
        first = int((self._sizes[:node] - 1).sum())
        own = logits[:, first : first + self._sizes[node] - 1]
        return np.concatenate([own, np.zeros((len(logits), 1))], axis=1)

    def by_row(self, of_nodes: Sequence[float]) -> Floats:
        """Numbers (rows,) of all logits, of one for each node."""
        repeated: Floats = np.repeat(np.asarray(of_nodes, np.float64), self._sizes - 1)
        return repeated

    def probabilities(self, logits: Floats) -> Floats:
        """Probabilities (n, classes) from logits (n, rows) of any size.

        A row is the same to the last bit whatever rows come with it.
        """
        whole = np.zeros((len(logits), int(self._sizes.sum())))
        whole[:, self._columns] = logits
        # Relative to the largest, so that nothing overflows.
        whole -= np.maximum.reduceat(whole, self._firsts, axis=1).repeat(self._sizes, axis=1)
        np.exp(whole, out=whole)
        whole /= np.add.reduceat(whole, self._firsts, axis=1).repeat(self._sizes, axis=1)
        sure = np.concatenate([whole, np.ones((len(whole), 1))], axis=1)
        scores = sure[:, self._ways[0]]
        for step in self._ways[1:]:
            scores *= sure[:, step]
        return scores


def _ways(nodes: Sequence[Outcomes]) -> Ints:
    """(steps, classes): the columns that lead to each class, then one that is always sure."""
    outcomes = [outcome for node in nodes for outcome in node]
    classes = 1 + max(c for outcome in outcomes for c in outcome)
    ways = [[i for i, outcome in enumerate(outcomes) if c in outcome] for c in range(classes)]
    steps = max(map(len, ways))
    return np.array([way + [len(outcomes)] * (steps - len(way)) for way in ways]).T
