"""Every setting of the worker and its companions, typed and documented where it is defined.

A value comes from, in this order: a command-line flag (``--max-gap-ms 80``), the environment
(``STREAMER_MAX_GAP_MS=80``), the TOML file named by ``--config`` or ``STREAMER_CONFIG``
(``max_gap_ms = 80``), the default below.
"""

import difflib
import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, PositiveFloat, PositiveInt, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from streamer.errors import SettingsError

ENV_PREFIX = "STREAMER_"
CONFIG_VARIABLE = f"{ENV_PREFIX}CONFIG"

# Variables with our prefix that are not settings of the worker.
_OTHER_VARIABLES = {CONFIG_VARIABLE, f"{ENV_PREFIX}HAR_DIR", f"{ENV_PREFIX}CACHE_DIR"}


class Settings(BaseSettings):
    """One flat model; a name is the same as flag, variable and TOML key."""

    model_config = SettingsConfigDict(env_prefix=ENV_PREFIX, extra="forbid", frozen=True)

    # Kafka: where, and as whom
    bootstrap_servers: str = Field(
        "127.0.0.1:9092", description="Kafka brokers to start from, `host:port`, comma-separated."
    )
    readings_topic: str = Field("sensor-readings", description="Topic that devices publish to.")
    events_topic: str = Field("activity-events", description="Topic that labels go to.")
    dlq_topic: str = Field(
        "sensor-readings.dlq", description="Dead-letter topic: readings that could not be used."
    )
    group_id: str = Field("streamer", description="Consumer group; its workers share the work.")
    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = Field(
        "PLAINTEXT", description="How to talk to the brokers."
    )
    ssl_cafile: Path | None = Field(
        None, description="CA certificates (PEM) to trust; the system's when not given."
    )
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = Field(
        "PLAIN", description="How to log in when the protocol is SASL."
    )
    sasl_username: str | None = Field(None, description="User name when the protocol is SASL.")
    sasl_password: SecretStr | None = Field(None, description="Password when the protocol is SASL.")
    partitions: PositiveInt = Field(
        8, description="Partitions of the topics that we create; the most workers that can share."
    )
    replication_factor: int = Field(
        -1, ge=-1, description="Replicas of the topics that we create; -1 is the broker's default."
    )

    # Time: when a reading counts
    max_gap_ms: PositiveFloat = Field(
        100, le=1000, description="Longest hole that is filled; after a longer one a device restarts."
    )
    allowed_lateness_ms: float = Field(
        0, ge=0, le=60_000, description="How long to wait for readings that arrive out of order."
    )
    max_future_skew_s: PositiveFloat = Field(
        300, description="How far a reading may be ahead of Kafka's clock before it is rejected."
    )
    idle_timeout_s: float = Field(
        60, ge=5, le=3600, description="Silence, by Kafka's clock, after which a device is forgotten."
    )
    dead_letter_late: bool = Field(
        False, description="Also send readings that came too late to the dead-letter topic."
    )

    # Windows: which are worth a prediction
    min_coverage: float = Field(
        0.8, ge=0, le=1, description="Least share of a window's samples that must really be there."
    )

    # Prediction
    model: Path | None = Field(
        None, description="Model file (.npz); the one in the package when not given."
    )

    # Delivery
    delivery: Literal["exactly-once", "at-least-once"] = Field(
        "exactly-once", description="What a consumer may rely on; at-least-once has less latency."
    )
    commit_interval_ms: PositiveInt = Field(
        100, description="Longest time that finished events wait for their commit."
    )
    session_timeout_s: PositiveFloat = Field(
        10, description="Silence after which Kafka gives a dead worker's partitions to the others."
    )
    instance_id: str | None = Field(
        None, description="Name that survives a restart (static membership): nothing moves meanwhile."
    )

    # Operations
    http_host: str = Field("127.0.0.1", description="Address of /metrics, /healthz and /readyz.")
    http_port: int = Field(
        9464, ge=0, le=65535, description="Port of /metrics, /healthz and /readyz; 0 picks a free one."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="Least severity that is logged."
    )
    log_format: Literal["console", "json"] = Field(
        "console", description="Log lines for people, or one JSON object a line."
    )

    @classmethod
    def load(cls, flags: Mapping[str, Any] | None = None, config: Path | None = None) -> Self:
        """Read the settings from flags, environment and file, in that order.

        Raises:
            SettingsError: with one line for each thing that is wrong, and where it stands.
        """
        return cls._validated(*_sources(flags or {}, config))

    @classmethod
    def _validated(cls, values: dict[str, Any], origins: dict[str, str]) -> Self:
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            lines = []
            for problem in error.errors():
                name = str(problem["loc"][0])
                lines.append(_describe(name, origins[name], problem))
            raise SettingsError("\n".join(lines)) from None

    @classmethod
    def settings_customise_sources(cls, *_: Any, **__: Any) -> tuple[Any, ...]:
        """Take no value behind our back: `load` merges the sources and knows their origins."""
        return ()


def origins(flags: Mapping[str, Any] | None = None, config: Path | None = None) -> dict[str, str]:
    """Say where each setting's value comes from: a flag, a variable, a file, or the default."""
    found = _sources(flags or {}, config)[1]
    return {name: found.get(name, "default") for name in Settings.model_fields}
