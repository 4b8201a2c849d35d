"""Disagreements: windows to which a shadow gives another activity than the first predictor.

`schemas/activity-disagreement.schema.json` is the contract.
"""

import msgspec

from streamer.contracts.events import ModelVersion
from streamer.errors import UNDECODABLE, DataError


class Disagreement(msgspec.Struct, frozen=True, kw_only=True):
    """What two models say about a window alone, without smoothing."""

    window_id: str
    device_id: str
    window_start: int
    window_end: int
    activity: str
    """The likeliest class of the first model: `activity_raw` of the event."""
    confidence: float
    model: ModelVersion
    shadow_activity: str
    shadow_confidence: float
    shadow_model: ModelVersion


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Disagreement)


def encode_disagreement(disagreement: Disagreement) -> bytes:
    """Return a disagreement as JSON."""
    return _encoder.encode(disagreement)


def decode_disagreement(value: bytes) -> Disagreement:
    """Return the disagreement that a value holds; unknown fields are ignored.

    Raises:
        DataError: the value is not a disagreement.
    """
    try:
        return _decoder.decode(value)
    except UNDECODABLE as error:
        raise DataError(f"not a disagreement: {error}") from None
