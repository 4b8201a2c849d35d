"""Calibration: fits the weights of the classifiers' outputs by maximum likelihood."""

from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize
from scipy.special import logsumexp

from streamer.arrays import Bools, Floats, Ints
from streamer.model.class_tree import ClassTree
from streamer.training.linear_classifiers import find_outcomes


@dataclass(frozen=True, slots=True)
class Outputs:
    """What classifiers say of windows.

    Attributes:
        logits: (n, rows) of the linear classifiers of all nodes.
        values: (n, outcomes) of boosted trees; None when there are none.
    """

    logits: Floats
    values: Floats | None

    def of(self, rows: Bools) -> "Outputs":
        """Return the outputs for the windows at these rows."""
        return Outputs(self.logits[rows], None if self.values is None else self.values[rows])

    def put(self, rows: Bools, outputs: "Outputs") -> None:
        """Replace the outputs for the windows at these rows."""
        self.logits[rows] = outputs.logits
        if self.values is not None and outputs.values is not None:
            self.values[rows] = outputs.values


@dataclass(frozen=True, slots=True)
class Calibration:
    """Two numbers for each node.

    Attributes:
        temperatures: divisors of the logits.
        factors: of the values of boosted trees; 0 where there are none.
    """

    temperatures: tuple[float, ...]
    factors: tuple[float, ...]

    def probabilities(self, division: ClassTree, outputs: Outputs) -> Floats:
        """Return the probabilities (n, classes)."""
        logits = outputs.logits / division.repeat_by_row(self.temperatures)
        if outputs.values is None:
            return division.probabilities(logits)
        values = outputs.values * division.repeat_by_outcome(self.factors)
        return division.probabilities(logits, values)


def calibrate(outputs: Outputs, classes: Ints, division: ClassTree) -> Calibration:
    """Fit the numbers of each node to outputs, and to the classes (n,) of the windows.

    Args:
        outputs: for windows that the classifiers have not learned from.
        classes: the true ones, -1 where there is none.
        division: the nodes.
    """
    temperatures, factors = [], []
    for node, outcomes in enumerate(division.nodes):
        which = find_outcomes(classes, outcomes)
        rows = which >= 0
        logits = division.select_logits(node, outputs.logits[rows])
        values = None
        if outputs.values is not None:
            values = division.select_values(node, outputs.values[rows])
        temperature, factor = fit_node(logits, values, division.outcome_of_logit[node], which[rows])
        temperatures.append(temperature)
        factors.append(factor)
    return Calibration(tuple(temperatures), tuple(factors))


def fit_node(
    logits: Floats, values: Floats | None, outcome_of_logit: tuple[int, ...], outcomes: Ints
) -> tuple[float, float]:
    """Return the temperature of logits (n, logits), and the factor of values, of one node.

    Args:
        logits: of the linear classifier.
        values: (n, logits), what boosted trees add to each logit; None or 0 without trees.
        outcome_of_logit: the outcome of each logit.
        outcomes: (n,) the true outcomes.
    """
    others = np.asarray(outcome_of_logit) != outcomes[:, None]
    boosted = values is not None and bool(values.any())

    def negative_log_likelihood(logarithms: Floats) -> float:
        numbers = np.exp(logarithms)
        weighed = logits / numbers[0]
        if values is not None and boosted:
            weighed += values * numbers[1]
        own = np.where(others, -np.inf, weighed)
        return float((logsumexp(weighed, axis=1) - logsumexp(own, axis=1)).mean())

    start = np.zeros(1 + boosted)
    bounds = [(-3, 6)] * len(start)
    found = minimize(negative_log_likelihood, start, method="Nelder-Mead", bounds=bounds)
    # The last bits of the search must not become part of the model.
    numbers = [round(float(number), 3) for number in np.exp(found.x)]
    return numbers[0], (numbers[1] if boosted else 0.0)
