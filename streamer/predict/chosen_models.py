"""Loads the models that the settings name: files, those in the package, those of a registry."""

from collections.abc import Callable, Hashable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from streamer.arrays import Floats
from streamer.errors import SettingsError
from streamer.features import GRAVITY_FRAME, GRAVITY_FRAME_ACC, UCI_HAR, FeatureSet
from streamer.model import artifact
from streamer.settings import Settings
from streamer.settings.predictor_names import ENDPOINTS, IN_FILES

if TYPE_CHECKING:
    from streamer.model.registry import Registry


def choose_feature_set(settings: Settings) -> FeatureSet:
    """Return the features that the predictor takes: those of the model file in this process.

    Every other predictor takes the published ones.

    Raises:
        ModelError: the model file cannot be used.
        SettingsError: the model for devices without a gyroscope takes other features.
    """
    model = load_model(settings)
    return features_of(model, load_model_without_gyroscope(settings, model))


def features_of(model: artifact.Model, without_gyroscope: artifact.Model | None) -> FeatureSet:
    """Return the features that models take, given that for windows without a gyroscope."""
    if without_gyroscope is None:
        return model.feature_set
    return replace(model.feature_set, needs_gyroscope=False)


def load_model_without_gyroscope(
    settings: Settings, model: artifact.Model
) -> artifact.Model | None:
    """Load the model for windows without a gyroscope, None where there is none.

    Args:
        settings: those of the worker.
        model: the one for the other windows.

    Raises:
        ModelError: the model file cannot be used.
        SettingsError: one of the models takes features that do not go with the other.
    """
    path = settings.model_without_gyroscope
    if path is None:
        is_default = artifact.is_default(settings.model) and settings.model_registry is None
        if settings.predictor != "local" or not is_default:
            return None
        path = artifact.ACC_MODEL
    found = artifact.load(path)
    if (model.feature_set, found.feature_set) != (GRAVITY_FRAME, GRAVITY_FRAME_ACC):
        raise SettingsError(
            f"model_without_gyroscope: {path} takes the features {found.feature_set.name}, and "
            f"the other model {model.feature_set.name}; they should be {GRAVITY_FRAME_ACC.name} "
            f"and {GRAVITY_FRAME.name}: train with --features gravity-acc and --features gravity"
        )
    return found


def load_model(settings: Settings) -> artifact.Model:
    """Load the model that predicts here, or else the one for fallback and drift detection.

    Raises:
        ModelError: it cannot be used.
        SettingsError: it takes features that endpoints are not sent.
        StorageError: the registry cannot be read.
    """
    if settings.predictor == "local":
        if settings.model_registry is not None:
            registry = _open_registry(settings.model_registry)
            return registry.load(registry.current())
        return artifact.load(settings.model or artifact.DEFAULT_MODEL)
    has_model_file = settings.predictor in ENDPOINTS
    path = (has_model_file and settings.model) or artifact.WAIST_MODEL
    model = artifact.load(path)
    if model.feature_set is not UCI_HAR:
        raise SettingsError(
            f"model: {path} takes the features {model.feature_set.name}, but endpoints are sent "
            f"those of {UCI_HAR.name}; use a model trained with --features published, or `waist`"
        )
    return model


def _open_registry(location: str) -> "Registry":
    from streamer.model.registry import Registry  # noqa: PLC0415 - few workers have one

    return Registry.open(location)


def can_change(settings: Settings) -> bool:
    """Return whether the models of a predictor may be replaced while a worker runs.

    Those in the package are not.
    """
    paths = [path for path in (settings.model, settings.model_without_gyroscope) if path]
    is_named = all(str(path) in artifact.NAMED for path in paths)
    return settings.predictor in IN_FILES and (settings.model_registry is not None or not is_named)


def make_stamp(settings: Settings) -> Callable[[], Hashable]:
    """Return a function whose answer changes when `load_predictor` would load other models.

    It keeps its connection to the registry. It raises StorageError if the registry cannot be read,
    and ModelError if it is damaged.

    Raises:
        StorageError: `model_registry` names no bucket.
    """
    paths = [path for path in (settings.model, settings.model_without_gyroscope) if path]
    registry = _open_registry(settings.model_registry) if settings.model_registry else None

    def stamp() -> Hashable:
        current = registry.current_id() if registry else None
        return (current, *map(_stamp_of_file, paths))

    return stamp


def _stamp_of_file(path: Path) -> Hashable:
    try:
        found = path.stat()
    except OSError as error:
        return error.errno
    return found.st_mtime_ns, found.st_size, found.st_ino


def median_window(model: artifact.Model) -> Floats:
    """Return the medians (1, features) of the features of the training windows."""
    deciles = model.profile.deciles
    return deciles[:, deciles.shape[1] // 2][None]
