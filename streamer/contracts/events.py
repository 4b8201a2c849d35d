"""Activity events: the result for a window, as JSON.

`schemas/activity-event.schema.json` is the contract; a consumer needs nothing else.
"""

from enum import StrEnum

import msgspec

from streamer.errors import UNDECODABLE, DataError


class Reason(StrEnum):
    """Why an activity is unknown."""

    TRANSITION = "transition"
    """The window shows a movement from one activity to another."""
    CONFIDENCE = "confidence"
    """No class is likely enough."""
    UNAVAILABLE = "unavailable"
    """No model answered."""
    UNFAMILIAR = "unfamiliar"
    """The device moves as the model has not learned, and `when_unfamiliar` is `unknown`."""


class Reliability(StrEnum):
    """The basis of an activity."""

    MODEL = "model"
    """The model's confidence is sufficient."""
    CONTEXT = "context"
    """The confidence is not sufficient; the earlier windows of the device decided."""
    UNFAMILIAR = "unfamiliar"
    """The device moves as the model has not learned: what the model says about it is worth little.
    """


class PredictionSource(StrEnum):
    """Which model computed the scores."""

    ENDPOINT = "endpoint"
    """The model that the settings name."""
    FALLBACK = "fallback"
    """The model in the worker's process, because the endpoint was down."""
    NONE = "none"
    """No model answered."""


class ModelVersion(msgspec.Struct, frozen=True):
    """The model that computed the scores."""

    id: str
    version: str


class FeatureSetVersion(msgspec.Struct, frozen=True):
    """The features that the model received; they define length, hop and rate of the windows."""

    name: str
    version: str


class ActivityEvent(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The activity of one device in one window.

    Numbers have six decimals. If no model answered and the settings do not hold the stream for it,
    `activity_raw`, `label`, `confidence` and `model` are None, and `scores` and `posterior` are
    empty.
    """

    window_id: str
    device_id: str
    window_start: int
    """Nominal start, milliseconds since the epoch."""
    window_end: int
    """Nominal end, exclusive, milliseconds since the epoch."""
    activity: str
    """The name that the model's author chose, or `unknown`."""
    reason: Reason | None
    """Why the activity is unknown; None if it is known."""
    reliability: Reliability | None
    """The basis of the activity; `unfamiliar` in every event of an unfamiliar device, otherwise
    None if the activity is unknown."""
    confidence: float | None
    """Probability of `activity`; if unknown, of the movement or the most likely activity."""
    activity_raw: str | None
    """The most likely activity of this window alone, also during a movement."""
    label: str | None
    """The class with the highest score, with the model's own name."""
    scores: dict[str, float]
    """Probability of each class for this window alone, by label, in the model's order."""
    posterior: dict[str, float]
    """The same after smoothing with the device's earlier windows; empty without smoothing."""
    model: ModelVersion | None
    predictor: str
    """The kind of predictor, such as `local`."""
    source: PredictionSource
    coverage: float
    """Share of the window's samples that the device sent, 0 to 1."""
    feature_set: FeatureSetVersion
    settled: bool
    """False while the filters settle: the scores may be slightly inaccurate."""
    familiarity: float | msgspec.UnsetType = msgspec.UNSET
    """Probability that the device moves as the model has learned, after this window and the earlier
    ones; below 0.5 the device is unfamiliar. Absent if the model cannot tell."""


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(ActivityEvent)


def window_id(device_id: str, window_start_ms: int) -> str:
    """Return the identity of a window: unique, and the same after any replay."""
    return f"{device_id}/{window_start_ms}"


def parse_window_id(text: str) -> tuple[str, int]:
    """Return the device and the nominal start (ms) that the id of a window names.

    Raises:
        DataError: the text is not an id.
    """
    device_id, slash, start_ms = text.rpartition("/")
    if not (device_id and slash and start_ms.isdecimal() and start_ms.isascii()):
        raise DataError(
            f"{text!r} is not the id of a window: write it as events do, DEVICE/MILLISECONDS, "
            "for example phone-17/1763906400640"
        )
    return device_id, int(start_ms)


def encode_event(event: ActivityEvent) -> bytes:
    """Return an event as JSON. Equal events give equal bytes: the fields keep their order."""
    return _encoder.encode(event)


def decode_event(value: bytes) -> ActivityEvent:
    """Return the event that a value holds; unknown fields are ignored.

    Raises:
        DataError: the value is not an activity event.
    """
    try:
        return _decoder.decode(value)
    except UNDECODABLE as error:
        raise DataError(f"not an activity event: {error}") from None
