"""Activity events: what streamer says about a window, as JSON.

`schemas/activity-event.schema.json` is the contract; a consumer needs nothing else.
"""

from enum import StrEnum

import msgspec

from streamer.errors import DataError


class Reason(StrEnum):
    """Why an activity is unknown."""

    TRANSITION = "transition"
    """The device's owner passes from one activity to another."""
    CONFIDENCE = "confidence"
    """Nothing is likely enough."""
    UNAVAILABLE = "unavailable"
    """No model could be asked."""


class Reliability(StrEnum):
    """What an activity rests on."""

    MODEL = "model"
    """It is likely enough."""
    CONTEXT = "context"
    """It is not, and what the device did before has decided."""


class PredictionSource(StrEnum):
    """Which model decided."""

    ENDPOINT = "endpoint"
    """The one that the worker is set up with."""
    FALLBACK = "fallback"
    """The one in the worker's process, while the endpoint was down."""
    NONE = "none"
    """No model could be asked."""


class ModelVersion(msgspec.Struct, frozen=True):
    """The model that gave the scores."""

    id: str
    version: str


class FeatureSetVersion(msgspec.Struct, frozen=True):
    """The features the model was asked with; they fix length, hop and rate of the windows."""

    name: str
    version: str


class ActivityEvent(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The activity of one device in one window.

    Numbers have six decimals. When no model could be asked and the worker is set up to say so
    rather than to wait, `activity_raw`, `label`, `confidence` and `model` are None, and `scores`
    and `posterior` are empty.
    """

    window_id: str
    device_id: str
    window_start: int
    """Nominal start, milliseconds since the epoch."""
    window_end: int
    """Nominal end, exclusive, milliseconds since the epoch."""
    activity: str
    """As the model's author calls it, or `unknown`."""
    reason: Reason | None
    """Why it is unknown, if it is."""
    reliability: Reliability | None
    """What it rests on, unless it is unknown."""
    confidence: float | None
    """How likely `activity` is; if it is unknown, the movement or the most likely one."""
    activity_raw: str | None
    """The likeliest activity by this window alone, during a movement too."""
    label: str | None
    """The class with the highest score, as the model names it."""
    scores: dict[str, float]
    """Probability of each class by label, in the model's order: what this window says."""
    posterior: dict[str, float]
    """The same after what the device did before; empty where that does not count."""
    model: ModelVersion | None
    predictor: str
    """The kind of predictor that was asked, such as `local`."""
    source: PredictionSource
    coverage: float
    """Share of the window's samples that were really there, 0 to 1."""
    feature_set: FeatureSetVersion
    settled: bool
    """False while the filters were warming up: the scores may be a little off."""


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(ActivityEvent)


def window_id(device_id: str, window_start_ms: int) -> str:
    """Name a window: the same after any replay, and unlike that of any other window."""
    return f"{device_id}/{window_start_ms}"


def encode_event(event: ActivityEvent) -> bytes:
    """Write an event, the same bytes for equal events: fields in their order."""
    return _encoder.encode(event)


def decode_event(value: bytes) -> ActivityEvent:
    """Read an event; fields that this version does not know are ignored.

    Raises:
        DataError: the value is no activity event.
    """
    try:
        return _decoder.decode(value)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise DataError(f"not an activity event: {error}") from None
