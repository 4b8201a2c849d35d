"""The settings of predictors beside the first one: a canary and a shadow."""

from pathlib import Path
from typing import Final, Self

from pydantic import Field, model_validator

from streamer.settings.checked_texts import EndpointName, KafkaName
from streamer.settings.connection import Connection
from streamer.settings.predictor_names import ENDPOINTS, IN_FILES, make_pattern
from streamer.settings.sources import contradiction

PREDICTORS: Final = make_pattern()
"""Kinds of second predictors."""


class SecondPredictors(Connection):
    """Settings of the canary, which decides for some devices, and of the shadow."""

    canary_predictor: str | None = Field(
        None,
        pattern=PREDICTORS,
        description="A second predictor that decides for a share of the devices; it takes the same"
        " features as the first one.",
    )
    canary_model: Path | None = Field(None, description="`model` of the canary.")
    canary_endpoint: EndpointName | None = Field(None, description="`endpoint` of the canary.")
    canary_share: float = Field(
        0.05,
        ge=0,
        le=1,
        description="Share of the devices for which the canary decides, by a hash of their ids; 0"
        " ends it.",
    )
    canary_unknown_margin: float = Field(
        0.1,
        ge=0,
        le=1,
        description="How much larger the canary's share of unknown windows may be than that of the"
        " other devices, before it is rolled back.",
    )
    canary_min_agreement: float = Field(
        0.7,
        ge=0,
        le=1,
        description="Smallest share of its windows for which the canary has the activity of the"
        " first predictor, before it is rolled back. Only for a first predictor in the process.",
    )
    shadow_predictor: str | None = Field(
        None,
        pattern=PREDICTORS,
        description="A second predictor that is asked about windows after they are decided, to"
        " compare; it takes the same features as the first one.",
    )
    shadow_model: Path | None = Field(None, description="`model` of the shadow.")
    shadow_endpoint: EndpointName | None = Field(None, description="`endpoint` of the shadow.")
    shadow_share: float = Field(
        0.1, ge=0, le=1, description="Share of the windows about which the shadow is asked."
    )
    disagreements_topic: KafkaName = Field(
        "activity-disagreements",
        description="Topic for windows to which the shadow gives another activity; used if there is"
        " a shadow.",
    )

    @model_validator(mode="after")
    def _second_predictors_are_complete(self) -> Self:
        for which in ("canary", "shadow"):
            kind = getattr(self, f"{which}_predictor")
            for kinds, needed in ((IN_FILES, "model"), (ENDPOINTS, "endpoint")):
                if kind in kinds and getattr(self, name := f"{which}_{needed}") is None:
                    raise contradiction(f"{kind} needs {name}", f"{which}_predictor", name)
        return self

    @property
    def canary(self) -> Self | None:
        """Return the settings with which the canary is opened; None if there is none."""
        if self.canary_predictor is None or self.canary_share == 0:
            return None
        return self._of_second(self.canary_predictor, self.canary_model, self.canary_endpoint)

    @property
    def shadow(self) -> Self | None:
        """Return the settings with which the shadow is opened; None if there is none."""
        if self.shadow_predictor is None or self.shadow_share == 0:
            return None
        return self._of_second(self.shadow_predictor, self.shadow_model, self.shadow_endpoint)

    def _of_second(self, predictor: str, model: Path | None, endpoint: str | None) -> Self:
        """Return these settings with another predictor, which gives up when it does not answer."""
        return self.model_copy(
            update={
                "predictor": predictor,
                "model": model,
                "model_registry": None,
                "model_without_gyroscope": None,
                "endpoint": endpoint,
                "when_down": "unavailable",
            }
        )

    @property
    def shadow_topics(self) -> tuple[str, ...]:
        """Return the topics to which only a shadow writes; no partition depends on them."""
        return () if self.shadow is None else (self.disagreements_topic,)
