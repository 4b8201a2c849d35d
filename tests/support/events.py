"""Activity events of every kind, as the code allows them."""

from hypothesis import strategies as st
from msgspec import UNSET

from streamer.contracts.activities import UNKNOWN
from streamer.contracts.events import (
    ActivityEvent,
    FeatureSetVersion,
    ModelVersion,
    PredictionSource,
    Reason,
    Reliability,
    window_id,
)

_text = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
_names = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)
_shares = st.floats(0, 1).map(lambda share: round(share, 6))
_of_classes = st.dictionaries(_text, _shares, min_size=1)


@st.composite
def events(draw: st.DrawFn) -> ActivityEvent:
    device_id = draw(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=60))
    start = draw(st.integers(-1280, 253402300799999))
    answered = draw(st.booleans())
    return ActivityEvent(
        window_id=window_id(device_id, start),
        device_id=device_id,
        window_start=start,
        window_end=start + 2560,
        activity=draw(_names) if answered else UNKNOWN,
        reason=draw(st.none() | st.sampled_from(Reason)),
        reliability=draw(st.none() | st.sampled_from(Reliability)),
        confidence=draw(_shares) if answered else None,
        activity_raw=draw(_names) if answered else None,
        label=draw(_text) if answered else None,
        scores=draw(_of_classes) if answered else {},
        posterior=draw(_of_classes) if answered and draw(st.booleans()) else {},
        model=ModelVersion(draw(_text), draw(_text)) if answered else None,
        predictor=draw(_text),
        source=draw(st.sampled_from(PredictionSource)),
        coverage=draw(_shares),
        feature_set=FeatureSetVersion(draw(_text), draw(_text)),
        settled=draw(st.booleans()),
        familiarity=draw(st.just(UNSET) | _shares) if answered else UNSET,
    )


WALK = ActivityEvent(
    window_id="phone-17/1763906400512",
    device_id="phone-17",
    window_start=1763906400512,
    window_end=1763906403072,
    activity="walking",
    reason=None,
    reliability=Reliability.MODEL,
    confidence=0.998132,
    activity_raw="walking",
    label="WALKING",
    scores={"WALKING": 0.981204, "SITTING": 0.018796},
    posterior={"WALKING": 0.998132, "SITTING": 0.001868},
    model=ModelVersion("har-linear", "1"),
    predictor="local",
    source=PredictionSource.ENDPOINT,
    coverage=0.992188,
    feature_set=FeatureSetVersion("uci-har", "1"),
    settled=True,
)
