"""The predictor that the settings ask for."""

import inspect
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from importlib import import_module

from streamer.errors import SettingsError
from streamer.metrics import Metrics
from streamer.model import artifact
from streamer.predict.amazon_ml_client import QUOTA, open_amazon_ml
from streamer.predict.answers import Ask, make_ask
from streamer.predict.drift import Drift, watch_drift
from streamer.predict.endpoint_caller import CallOptions, EndpointCaller
from streamer.predict.local_predictor import LocalPredictor
from streamer.predict.onnx_predictor import OnnxPredictor
from streamer.predict.predictor import Predictor
from streamer.predict.sagemaker_client import open_sagemaker
from streamer.settings import Settings


@asynccontextmanager
async def open_predictor(
    settings: Settings, metrics: Metrics, on_trouble: Callable[[str | None], None]
) -> AsyncIterator[Ask]:
    """Open the way to the model; everything that can be checked beforehand is.

    What is asked and answered is compared with the training profile of the model file, or of the
    shipped model where there is none.

    Args:
        settings: a worker's.
        metrics: of the calls.
        on_trouble: is told when the endpoint does not answer, and None when it does again.

    Raises:
        SettingsError: there is no such predictor, or it lacks a setting.
        ModelError: its file cannot be used.
        EndpointError: there is no such endpoint, or it refuses us.
    """
    ours = settings.predictor in {"local", "amazon-ml", "sagemaker"}
    model = artifact.load((ours and settings.model) or artifact.SHIPPED)
    drift = Drift(model.profile, model.signature)
    async with _opened(settings, metrics, on_trouble, LocalPredictor(model)) as ask:
        yield watch_drift(ask, drift, metrics)


@asynccontextmanager
async def _opened(
    settings: Settings,
    metrics: Metrics,
    on_trouble: Callable[[str | None], None],
    local: LocalPredictor,
) -> AsyncIterator[Ask]:
    # A hedged call takes a second connection.
    connections = settings.max_concurrency * (1 + settings.hedge)
    match settings.predictor:
        case "local":
            yield make_ask(local)
        case "onnx":
            assert settings.model is not None
            yield make_ask(OnnxPredictor(settings.model, settings.activities))
        case "amazon-ml":
            assert settings.endpoint is not None
            async with open_amazon_ml(
                settings.endpoint,
                settings.endpoint_variable,
                settings.activities,
                connections,
                settings.attempt_timeout_s,
            ) as endpoint:
                terms = _terms(settings, local, settings.max_rate or QUOTA)
                yield EndpointCaller(endpoint, terms, metrics, on_trouble).ask
        case "sagemaker":
            assert settings.endpoint is not None
            async with open_sagemaker(
                settings.endpoint,
                settings.endpoint_format,
                settings.activities,
                settings.batch_windows,
                connections,
                settings.attempt_timeout_s,
            ) as runtime:
                terms = _terms(settings, local, settings.max_rate)
                yield EndpointCaller(runtime, terms, metrics, on_trouble).ask
        case path:
            yield make_ask(import_predictor(path, settings))


def import_predictor(path: str, settings: Settings) -> Predictor:
    """Make a user's own predictor, ``package.module:Class``, called with the settings.

    Raises:
        SettingsError: there is no such thing, or it is no predictor.
    """
    module, _, name = path.partition(":")
    try:
        made: Predictor = getattr(import_module(module), name)(settings)
    except (ImportError, AttributeError) as error:
        raise SettingsError(f"predictor: cannot import {path}: {error}") from error
    if not (inspect.iscoroutinefunction(getattr(made, "predict", None)) and hasattr(made, "name")):
        raise SettingsError(
            f"predictor: {path} needs a `name` and `async def predict(self, features)`; "
            "docs/testing.md has an example"
        )
    return made


def _terms(settings: Settings, local: LocalPredictor, rate: float | None) -> CallOptions:
    return CallOptions(
        batch_wait_s=settings.batch_wait_ms / 1000,
        max_concurrency=settings.max_concurrency,
        rate=rate,
        attempt_timeout_s=settings.attempt_timeout_s,
        deadline_s=settings.predict_deadline_s,
        hedge=settings.hedge,
        hold=settings.when_down == "hold",
        fallback=local if settings.when_down == "fallback" else None,
    )
