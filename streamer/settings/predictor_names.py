"""The names of predictors, as settings write them."""

from enum import StrEnum
from typing import Final

IN_FILES: Final = ("local", "onnx")
"""Predictors whose model is a file."""


class EndpointKind(StrEnum):
    """Predictors behind a network that are asked in real time; each needs an endpoint."""

    AMAZON_ML = "amazon-ml"
    SAGEMAKER = "sagemaker"


ENDPOINTS: Final = tuple(EndpointKind)

BATCHES: Final = "amazon-ml-batch"
"""The predictor that predicts in batches."""


def make_pattern(*others: str) -> str:
    """Return the pattern of a predictor's name: a file, an endpoint, another one, or a class."""
    return rf"^({'|'.join((*IN_FILES, *ENDPOINTS, *others))}|[A-Za-z_][\w.]*:[A-Za-z_]\w*)$"
