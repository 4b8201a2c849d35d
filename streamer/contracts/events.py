"""Activity events: what streamer says about a window, as JSON.

`schemas/activity-event.schema.json` is the contract; a consumer needs nothing else.
"""

from enum import StrEnum

import msgspec

from streamer.errors import DataError


class Activity(StrEnum):
    """What somebody does, whatever the model calls it."""

    WALKING = "walking"
    WALKING_UPSTAIRS = "walking_upstairs"
    WALKING_DOWNSTAIRS = "walking_downstairs"
    SITTING = "sitting"
    STANDING = "standing"
    LAYING = "laying"
    UNKNOWN = "unknown"
    """The model was not sure enough, or could not be asked."""


class Source(StrEnum):
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


class FeatureSet(msgspec.Struct, frozen=True):
    """The features the model was asked with; they fix length, hop and rate of the windows."""

    name: str
    version: str


class ActivityEvent(msgspec.Struct, frozen=True, kw_only=True):
    """The activity of one device in one window.

    `label`, `confidence` and `model` are None, and `scores` is empty, when no model could be
    asked and the worker is set up to say so rather than to wait.
    """

    window_id: str
    device_id: str
    window_start: int
    """Nominal start, milliseconds since the epoch."""
    window_end: int
    """Nominal end, exclusive, milliseconds since the epoch."""
    activity: Activity
    label: str | None
    """The class with the highest score, as the model names it."""
    confidence: float | None
    """Its score."""
    scores: dict[str, float]
    """Probability of each class by label, in the model's order."""
    model: ModelVersion | None
    predictor: str
    """The kind of predictor that was asked, such as `local`."""
    source: Source
    coverage: float
    """Share of the window's samples that were really there, 0 to 1."""
    feature_set: FeatureSet
    settled: bool
    """False while the filters were warming up: the scores may be a little off."""


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(ActivityEvent)


def window_id(device_id: str, window_start_ms: int) -> str:
    """Name a window: the same after any replay, and unlike that of any other window."""
    return f"{device_id}/{window_start_ms}"


def encode_event(event: ActivityEvent) -> bytes:
    """Write an event, the same bytes for equal events: fields in their order, six decimals."""
    return _encoder.encode(
        msgspec.structs.replace(
            event,
            confidence=None if event.confidence is None else round(event.confidence, 6),
            scores={label: round(score, 6) for label, score in event.scores.items()},
            coverage=round(event.coverage, 6),
        )
    )


def decode_event(value: bytes) -> ActivityEvent:
    """Read an event; fields that this version does not know are ignored.

    Raises:
        DataError: the value is no activity event.
    """
    try:
        return _decoder.decode(value)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise DataError(f"not an activity event: {error}") from None
