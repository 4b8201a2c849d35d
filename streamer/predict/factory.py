"""Opens the predictor that the settings name.

A worker that predicts in its process imports neither the AWS SDK nor the code that calls endpoints:
they take a second to import.
"""

import inspect
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, assert_never
from urllib.parse import quote

from streamer.arrays import Floats
from streamer.errors import SettingsError
from streamer.features import FeatureSet
from streamer.metrics import Metrics
from streamer.model import artifact
from streamer.predict.answers import Answers, Ask, make_ask
from streamer.predict.chosen_models import (
    features_of,
    load_model,
    load_model_without_gyroscope,
    median_window,
)
from streamer.predict.drift import Drift, watch_drift
from streamer.predict.endpoint_protocol import Endpoint
from streamer.predict.local_predictor import LocalPredictor
from streamer.predict.predictor import Predictor
from streamer.predict.sensors import ask_by_sensors
from streamer.predict.serving import name_models
from streamer.settings import Settings
from streamer.settings.predictor_names import BATCHES, ENDPOINTS, IN_FILES, EndpointKind

if TYPE_CHECKING:
    from streamer.predict.batch_predictor import BatchPredictor
    from streamer.predict.onnx_predictor import OnnxPredictor

ReportTrouble = Callable[[str | None], None]
"""Takes the reason why the endpoint does not answer, or None when it answers again."""


@dataclass(frozen=True, slots=True)
class OpenedPredictor:
    """A predictor that can be asked.

    Attributes:
        name: identifies its models.
        ask: asks it.
        feature_set: the features that it takes.
        model: the one that answers, or else the one for fallback and drift detection.
        without_gyroscope: the model that answers for windows without a gyroscope, if there is one.
    """

    name: str
    ask: Ask
    feature_set: FeatureSet
    model: artifact.Model
    without_gyroscope: artifact.Model | None = None


@asynccontextmanager
async def open_predictor(
    settings: Settings, metrics: Metrics, on_trouble: ReportTrouble
) -> AsyncIterator[Ask]:
    """Open the predictor; check everything that can be checked before the first window.

    Drift detection compares the windows with the training data of the model file, or of the model
    `waist` if the predictor has no model file. It does not look at windows without a gyroscope.

    Args:
        settings: the settings of the worker.
        metrics: counts the calls.
        on_trouble: is told about trouble of the endpoint.

    Raises:
        SettingsError: there is no such predictor, or a setting is missing.
        ModelError: the model file cannot be used.
        EndpointError: there is no such endpoint, or access to it is denied.
    """
    if settings.predictor in IN_FILES:
        yield load_predictor(settings, metrics).ask
        return
    async with open_other_predictor(settings, metrics, on_trouble) as opened:
        yield opened.ask


def load_predictor(settings: Settings, metrics: Metrics) -> OpenedPredictor:
    """Load a predictor that is one of `IN_FILES`, and let each of its models compute once.

    Raises:
        SettingsError: its models do not go together.
        ModelError: a file cannot be used.
        StorageError: the registry cannot be read.
    """
    model = load_model(settings)
    without_gyroscope = load_model_without_gyroscope(settings, model)
    predictor = _make_predictor(settings, model)
    _warm_up(model)
    identities = [predictor.identity]
    if without_gyroscope is not None:
        _warm_up(without_gyroscope)
        identities.append(without_gyroscope.signature)
    drift = Drift(model.profile, model.signature)
    ask = ask_by_sensors(watch_drift(make_ask(predictor), drift, metrics), without_gyroscope)
    features = features_of(model, without_gyroscope)
    return OpenedPredictor(name_models(identities), ask, features, model, without_gyroscope)


@asynccontextmanager
async def open_other_predictor(
    settings: Settings, metrics: Metrics, on_trouble: ReportTrouble
) -> AsyncIterator[OpenedPredictor]:
    """Open a predictor that is none of `IN_FILES`; see `open_predictor`."""
    model = load_model(settings)
    async with _open(settings, metrics, on_trouble, model) as opened:
        ask = watch_drift(opened, Drift(model.profile, model.signature), metrics)
        name = quote(f"{settings.predictor}/{settings.endpoint or ''}", safe="/")
        yield OpenedPredictor(name, ask, model.feature_set, model)


def _make_predictor(settings: Settings, model: artifact.Model) -> "LocalPredictor | OnnxPredictor":
    if settings.predictor == "local":
        return LocalPredictor(model)
    from streamer.predict.onnx_predictor import OnnxPredictor  # noqa: PLC0415 - an extra

    assert settings.model is not None
    return OnnxPredictor(settings.model, settings.activities)


def _warm_up(model: artifact.Model) -> None:
    """Let a model compute once what it computes once."""
    window = median_window(model)
    model.probabilities(window)
    if model.familiarity is not None:
        model.familiarity.measure(window)


@asynccontextmanager
async def _open(
    settings: Settings, metrics: Metrics, on_trouble: ReportTrouble, model: artifact.Model
) -> AsyncIterator[Ask]:
    if settings.predictor in ENDPOINTS:
        async with _open_endpoint(settings, metrics, on_trouble, model) as ask:
            yield ask
    elif settings.predictor == BATCHES:
        yield _refuse_to_ask
    else:
        yield make_ask(import_predictor(settings.predictor, settings))


async def _refuse_to_ask(_: Floats) -> Answers:
    raise SettingsError(
        "predictor: amazon-ml-batch predicts the windows of workers only; choose amazon-ml here"
    )


@asynccontextmanager
async def open_batch_predictor(
    settings: Settings, metrics: Metrics, on_trouble: ReportTrouble
) -> AsyncIterator["BatchPredictor | None"]:
    """Open the predictor that the settings name if it predicts in batches; otherwise yield None.

    Raises:
        EndpointError: there is no such model or bucket, or access to it is denied.
        SettingsError: the SDK lacks a setting.
    """
    if settings.predictor != BATCHES:
        yield None
        return
    from streamer.predict.open_amazon_ml_batches import (  # noqa: PLC0415 - slow to import
        open_amazon_ml_batches,
    )

    async with open_amazon_ml_batches(settings, metrics, on_trouble) as batches:
        yield batches


@asynccontextmanager
async def _open_endpoint(
    settings: Settings, metrics: Metrics, on_trouble: ReportTrouble, model: artifact.Model
) -> AsyncIterator[Ask]:
    from streamer.predict.amazon_ml_client import open_amazon_ml  # noqa: PLC0415 - slow to import
    from streamer.predict.endpoint_caller import (  # noqa: PLC0415 - slow to import
        CallOptions,
        EndpointCaller,
    )
    from streamer.predict.quotas import AMAZON_ML_CALLS_PER_S  # noqa: PLC0415 - with the others
    from streamer.predict.sagemaker_client import open_sagemaker  # noqa: PLC0415 - slow to import

    assert settings.endpoint is not None
    opened: AbstractAsyncContextManager[Endpoint]
    # With hedging a call may take a second connection.
    connections = settings.max_concurrency * (1 + settings.hedge)
    rate = settings.max_rate
    match EndpointKind(settings.predictor):
        case EndpointKind.AMAZON_ML:
            rate = rate or AMAZON_ML_CALLS_PER_S
            opened = open_amazon_ml(
                settings.endpoint,
                settings.endpoint_variable,
                settings.activities,
                connections,
                settings.attempt_timeout_s,
            )
        case EndpointKind.SAGEMAKER:
            opened = open_sagemaker(
                settings.endpoint,
                settings.endpoint_format,
                settings.activities,
                settings.batch_windows,
                connections,
                settings.attempt_timeout_s,
            )
        case other:
            assert_never(other)
    options = CallOptions(
        batch_wait_s=settings.batch_wait_ms / 1000,
        max_concurrency=settings.max_concurrency,
        rate=rate,
        attempt_timeout_s=settings.attempt_timeout_s,
        deadline_s=settings.predict_deadline_s,
        hedge=settings.hedge,
        hold=settings.when_down == "hold",
        fallback=LocalPredictor(model) if settings.when_down == "fallback" else None,
    )
    async with opened as endpoint:
        reference = median_window(model)
        yield EndpointCaller(endpoint, options, reference, metrics, on_trouble).ask


def import_predictor(path: str, settings: Settings) -> Predictor:
    """Make a predictor of the user's class, ``package.module:Class``, from the settings.

    Raises:
        SettingsError: there is no such class, or it is not a predictor.
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
