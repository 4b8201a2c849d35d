"""Opens the models of a worker: the first ones, the canary and the shadow."""

import asyncio
from collections.abc import AsyncIterator, Callable, Hashable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from streamer.arrays import Floats
from streamer.errors import SettingsError
from streamer.features import FeatureSet
from streamer.health import Health
from streamer.metrics import Metrics
from streamer.predict.answers import Answers, Ask
from streamer.predict.chosen_models import can_change, make_stamp
from streamer.predict.factory import OpenedPredictor, load_predictor, open_other_predictor
from streamer.predict.models import LoadedModels, Models
from streamer.predict.sensors import ask_by_sensors
from streamer.predict.serving import Serving
from streamer.settings import Settings
from streamer.settings.predictor_names import IN_FILES

if TYPE_CHECKING:
    from streamer.predict.shadow import Publish, Shadow

OpenPublish = Callable[[Settings], AbstractAsyncContextManager["Publish"]]
"""Opens what publishes the disagreements of a shadow."""


@asynccontextmanager
async def open_models(
    settings: Settings, metrics: Metrics, health: Health, publishing: OpenPublish
) -> AsyncIterator[Models]:
    """Open the models of a worker; watch their files and their registry while the context is open.

    Args:
        settings: those of the worker.
        metrics: counts calls and changes.
        health: is told about trouble of an endpoint, and about models that were refused.
        publishing: opens what publishes the disagreements of a shadow, in the shadow's thread.

    Raises:
        StreamerError: see `open_predictor`.
    """
    async with AsyncExitStack() as stack:
        first = canary = shadow = None
        if settings.predictor not in IN_FILES:
            opening = open_other_predictor(settings, metrics, health.endpoint)
            first = await stack.enter_async_context(opening)
        if settings.canary is not None and settings.canary.predictor not in IN_FILES:
            # The metrics of endpoints are those of the first predictor.
            opening = open_other_predictor(settings.canary, Metrics(), lambda _: None)
            canary = await stack.enter_async_context(opening)

        def open_shadow() -> AbstractAsyncContextManager[tuple[Ask, "Publish"]]:
            assert settings.shadow is not None
            return _open_shadow(settings.shadow, models.feature_set, publishing)

        if settings.shadow is not None:
            from streamer.predict.shadow import Shadow  # noqa: PLC0415 - few workers have one

            patience_s = 2 * settings.predict_deadline_s
            shadow = Shadow(open_shadow, settings.shadow_share, patience_s, metrics)

        def load() -> LoadedModels:
            return _load(settings, metrics, first, canary, shadow)

        def stamp() -> Hashable:
            return tuple(each() for each in stamps)

        watched = [each for each in (settings, settings.canary) if each and can_change(each)]
        stamps = [make_stamp(each) for each in watched]
        models = Models(load, metrics, health, stamp)
        if watched:
            watching = asyncio.create_task(models.watch(settings.model_check_s))
            stack.callback(watching.cancel)
        if shadow is not None:
            shadow.start()
            stack.callback(shadow.stop)
        yield models


def _load(
    settings: Settings,
    metrics: Metrics,
    first: OpenedPredictor | None,
    other: OpenedPredictor | None,
    shadow: "Shadow | None",
) -> LoadedModels:
    first = first or load_predictor(settings, metrics)
    serving = Serving(first.name, first.ask, shadow=shadow, is_first=True)
    if settings.canary is None:
        return LoadedModels(serving, first.feature_set)
    from streamer.predict.canary import Canary, CanaryRule  # noqa: PLC0415 - few workers have one

    other = other or load_predictor(settings.canary, Metrics())
    _require_same_features(other, first.feature_set, "canary")
    ask = other.ask
    if other.without_gyroscope is None:
        ask = ask_by_sensors(ask, first.without_gyroscope)
    canary = Canary(
        other.name,
        ask,
        settings.canary_share,
        CanaryRule(settings.canary_unknown_margin, settings.canary_min_agreement),
        metrics,
        compares=settings.predictor in IN_FILES,
        patience_s=2 * settings.predict_deadline_s,
    )
    return LoadedModels(replace(serving, canary=canary, is_first=False), first.feature_set)


@asynccontextmanager
async def _open_shadow(
    settings: Settings, features: FeatureSet, publishing: OpenPublish
) -> AsyncIterator[tuple[Ask, "Publish"]]:
    async with AsyncExitStack() as stack:
        if settings.predictor in IN_FILES:
            shadow = load_predictor(settings, Metrics())
        else:
            opening = open_other_predictor(settings, Metrics(), lambda _: None)
            shadow = await stack.enter_async_context(opening)
        _require_same_features(shadow, features, "shadow")
        ask = shadow.ask if shadow.without_gyroscope else _leave_out_incomplete(shadow.ask)
        yield ask, await stack.enter_async_context(publishing(settings))


def _leave_out_incomplete(ask: Ask) -> Ask:
    """Return a function that asks only about windows with all features."""

    async def asked(features: Floats) -> Answers:
        whole = np.flatnonzero(~np.isnan(features).any(axis=1))
        return Answers.join(len(features), [(whole, await ask(features[whole]))])

    return asked


def _require_same_features(other: OpenedPredictor, features: FeatureSet, which: str) -> None:
    """Make sure that a second predictor takes the features that are computed for the first one.

    Raises:
        SettingsError: it takes others.
    """
    if other.feature_set.names != features.names:
        raise SettingsError(
            f"{which}: it takes the features {other.feature_set.name}, and the first predictor "
            f"takes {features.name}; both must take the same"
        )
