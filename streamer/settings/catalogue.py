"""Every setting of the worker and its tools, typed and documented where it is defined.

It is one long module because it is one table: a setting has one name everywhere.

A value comes from, in this order: a command-line flag (``--max-gap-ms 80``), the environment
(``STREAMER_MAX_GAP_MS=80``), the TOML file named by ``--config`` or ``STREAMER_CONFIG``
(``max_gap_ms = 80``), the default below.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Literal, Self

from pydantic import (
    Field,
    PositiveFloat,
    PositiveInt,
    SecretStr,
    ValidationError,
    model_validator,
)
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from streamer.errors import SettingsError
from streamer.profiles.profile import CONTRACT, check_format
from streamer.settings.checked_texts import (
    ActivityNames,
    EndpointName,
    KafkaName,
    LabelNames,
    NumberedName,
    OptionalTopic,
    Url,
)
from streamer.settings.connection import Name
from streamer.settings.predictor_names import BATCHES, ENDPOINTS, make_pattern
from streamer.settings.second_predictors import SecondPredictors
from streamer.settings.sources import (
    ENV_PREFIX,
    complaint,
    contradiction,
    find_places,
    read_sources,
)
from streamer.stream.rules import Rules

TOPIC_SETTINGS: Final = (
    "readings_topic",
    "events_topic",
    "segments_topic",
    "current_topic",
    "dlq_topic",
)
"""The settings that name topics. Workers read the first one and write to the others."""


class Settings(SecondPredictors):
    """A flat model: a setting has the same name as flag, variable and key of the TOML file."""

    model_config = SettingsConfigDict(
        env_prefix=ENV_PREFIX, env_ignore_empty=True, extra="forbid", frozen=True
    )

    # Topics and group
    readings_topic: KafkaName = Field(
        "sensor-readings", description="Topic to which devices publish."
    )
    readings_format: Name = Field(
        CONTRACT,
        description="Format of the readings: `streamer`, the name of a profile in the package, or"
        " the path of a profile of your own, a `.toml` file.",
    )
    schema_registry: Url | None = Field(
        None,
        description="URL of the schema registry, for readings in Avro and Protobuf and for events"
        " in Avro.",
    )
    schema_registry_login: SecretStr | None = Field(
        None, description="`user:password` of the schema registry, if it requires a login."
    )
    otlp_endpoint: Url | None = Field(
        None,
        description="OpenTelemetry collector (OTLP over HTTP), such as `http://127.0.0.1:4318`, to"
        " which traces and metrics are sent; needs `streamer[otel]`.",
    )
    events_topic: KafkaName = Field(
        "activity-events", description="Topic to which activity events are published."
    )
    segments_topic: OptionalTopic = Field(
        "activity-segments",
        description="Topic to which ended segments are published: stretches of time in which a"
        " device had one activity. Empty: they are not published.",
    )
    current_topic: OptionalTopic = Field(
        "activity-current",
        description="Compacted topic to which the current activity of a device is published when"
        " it changes. Empty: it is not published.",
    )
    events_format: Literal["json", "avro"] = Field(
        "json",
        description="Format of the events: `json`, or `avro` with the framing of a schema registry"
        " (`schema_registry`).",
    )
    dlq_topic: KafkaName = Field(
        "sensor-readings.dlq", description="Dead-letter topic, for readings that cannot be used."
    )
    labels_topic: KafkaName = Field(
        "activity-labels",
        description="Topic of ground truth: what devices really did, as `streamer feedback` and the"
        " gateway write it.",
    )
    group_id: Name = Field(
        "streamer", description="Consumer group; its workers share the partitions."
    )
    create_topics: bool = Field(
        True,
        description="Create missing topics at the start; if false, a missing topic is an error.",
    )
    partitions: PositiveInt = Field(
        8,
        description="Number of partitions of topics that are created; the largest useful number of"
        " workers.",
    )
    replication_factor: int = Field(
        -1,
        ge=-1,
        description="Number of replicas of topics that are created; -1 is the default of the"
        " broker.",
    )

    # Time: when a reading counts
    max_gap_ms: PositiveFloat = Field(
        200,
        le=1000,
        description="Longest gap between samples that is interpolated; after a longer gap a device"
        " starts anew.",
    )
    allowed_lateness_ms: float = Field(
        0, ge=0, le=60_000, description="Time to wait for readings that arrive out of order."
    )
    max_future_skew_s: PositiveFloat = Field(
        300,
        allow_inf_nan=False,
        description="Longest time by which a sample may be ahead of its record's Kafka timestamp;"
        " others are rejected.",
    )
    idle_timeout_s: float = Field(
        60,
        ge=5,
        le=3600,
        description="Silence, by Kafka's clock, after which the state of a device is dropped.",
    )
    max_devices: int = Field(
        100_000,
        ge=1,
        le=10_000_000,
        description="Devices of a partition that a worker remembers at most. When there are more,"
        " the least recently seen ones are forgotten: they start anew with their next reading.",
    )
    dead_letter_late: bool = Field(
        False, description="Write late readings to the dead-letter topic too."
    )

    max_reject_share: float = Field(
        0.5,
        ge=0,
        le=1,
        description="Share of rejected records above which a partition is held; 1 holds none.",
    )
    reject_window_s: PositiveFloat = Field(
        60, allow_inf_nan=False, description="Time over which `max_reject_share` is measured."
    )

    # Windows: which are worth a prediction
    min_coverage: float = Field(
        0.6,
        ge=0,
        le=1,
        description="Smallest share of a window's samples that must have been received.",
    )

    # Prediction: by which model
    predictor: str = Field(
        "local",
        pattern=make_pattern(BATCHES),
        description="`local`, `onnx`, `amazon-ml`, `amazon-ml-batch`, `sagemaker`, or a class of"
        " your own, `package.module:Class`.",
    )
    model: Path | None = Field(
        None,
        description="Model file for `local` (.npz; default: the model in the package), for `onnx`,"
        " and for the fallback.",
    )
    model_without_gyroscope: Path | None = Field(
        None,
        description="Model file for devices without a gyroscope, trained with `--features"
        " gravity-acc`; it goes with `local` and a model trained with `--features gravity`."
        " Default: `har-acc` with the model in the package; otherwise their windows are skipped.",
    )
    model_registry: Name | None = Field(
        None,
        description="Registry of model versions, a folder or `s3://bucket/prefix`; its current"
        " version is the model of `local`, instead of `model`.",
    )
    model_check_s: PositiveFloat = Field(
        5,
        allow_inf_nan=False,
        description="How often workers look for another model in the files `model`,"
        " `model_without_gyroscope` and `canary_model`, and in `model_registry`; they change to it"
        " without a restart.",
    )
    endpoint: EndpointName | None = Field(
        None, description="Id of the Amazon ML model, or name of the SageMaker endpoint."
    )
    endpoint_format: Literal["csv", "jsonlines", "npy"] = Field(
        "csv",
        description="Format that the SageMaker container reads; `npy` costs a tenth of the others.",
    )
    endpoint_variable: NumberedName = Field(
        "Var{:03d}",
        description="Names of the features in the Amazon ML schema, with a place for the number,"
        " from 1.",
    )
    endpoint_labels: LabelNames = Field(
        "1=walking,2=walking_upstairs,3=walking_downstairs,4=sitting,5=standing,6=laying",
        description="Labels and their activities in the order of the scores, for endpoints and"
        " ONNX models that do not give them.",
    )

    # Prediction: how an endpoint is called, and what happens when it fails
    batch_windows: PositiveInt = Field(
        64, description="Largest number of windows in a SageMaker call."
    )
    batch_wait_ms: float = Field(
        20,
        ge=0,
        le=1000,
        description="Longest time for which a window waits for others to share a call with.",
    )
    max_concurrency: PositiveInt = Field(10, description="Largest number of concurrent calls.")
    max_rate: PositiveFloat | None = Field(
        None,
        allow_inf_nan=False,
        description="Largest number of calls a second, retries included. Default: 200 for Amazon"
        " ML, otherwise no limit. Workers share a quota: give each of them its part.",
    )
    attempt_timeout_s: PositiveFloat = Field(
        2, allow_inf_nan=False, description="Longest duration of a call; then it is repeated."
    )
    predict_deadline_s: PositiveFloat = Field(
        10,
        allow_inf_nan=False,
        description="How long a window may be tried before `when_down` says what happens; its"
        " time in the queue does not count.",
    )
    hedge: bool = Field(
        False,
        description="Call a second time when a call takes longer than 95% of the latest calls.",
    )
    when_down: Literal["hold", "fallback", "unavailable"] = Field(
        "hold",
        description="While the endpoint does not answer: `hold` waits and loses nothing,"
        " `fallback` uses the local model, `unavailable` publishes events without a"
        " label.",
    )

    # Prediction: in batches
    batch_location: Name | None = Field(
        None,
        pattern=r"^s3://.",
        description="Where `amazon-ml-batch` stores features and results: `s3://bucket/prefix`.",
    )
    batch_interval_s: PositiveFloat = Field(
        60,
        le=3600,
        description="How long a batch of `amazon-ml-batch` collects windows. A batch of 20,000"
        " windows ends before.",
    )
    batch_clean_up: bool = Field(
        True,
        description="Remove the objects, the data source and the batch prediction of a batch when"
        " its events are committed.",
    )

    # Labels: from scores to what is published
    smoothing: bool = Field(True, description="Use the earlier windows of a device for its labels.")
    min_confidence: float = Field(
        0,
        ge=0,
        le=1,
        description="Smallest confidence of an activity; below it `when_unsure` decides.",
    )
    when_unsure: Literal["unknown", "context"] = Field(
        "unknown",
        description="`unknown` publishes `unknown`; `context` lets the earlier windows of the"
        " device decide, and the event says so.",
    )
    when_unfamiliar: Literal["unknown", "label"] = Field(
        "unknown",
        description="While a device moves in a way that the model has not learned: `unknown`"
        " publishes `unknown`, `label` what the model says. The events say that it is unfamiliar.",
    )

    label_activities: ActivityNames = Field(
        "walking,walking_upstairs,walking_downstairs,jogging,sitting,standing,laying",
        description="Activities that ground truth may name, comma-separated.",
    )

    # Delivery
    delivery: Literal["exactly-once", "at-least-once"] = Field(
        "exactly-once",
        description="Delivery guarantee of events; at-least-once has a lower latency.",
    )
    on_lost_records: Literal["continue", "stop"] = Field(
        "continue",
        description="When the log and the position disagree: continue where records are, or stop.",
    )
    commit_interval_ms: PositiveInt = Field(
        100,
        description="Longest time for which finished events wait for their commit; ten times as"
        " long while the worker is behind.",
    )
    session_timeout_s: PositiveFloat = Field(
        10,
        allow_inf_nan=False,
        description="Silence of a worker after which Kafka gives its partitions to other workers.",
    )
    instance_id: KafkaName | None = Field(
        None,
        description="Name of the worker that survives a restart (static membership): a restart"
        " moves no partition.",
    )

    # What models learn from
    store_features: Name | None = Field(
        None,
        description="Folder, or `s3://bucket/prefix`, in which the features of all windows are"
        " stored as Parquet. Give each group of workers its own. Needs the extra"
        " `streamer[parquet]`.",
    )
    store_interval_s: PositiveFloat = Field(
        60,
        le=3600,
        description="Time between two files of stored features of a partition. A worker that"
        " recovers reads the log from the last file on.",
    )

    # Operations
    http_host: str = Field("127.0.0.1", description="Address of /metrics, /healthz and /readyz.")
    http_port: int = Field(
        9464,
        ge=0,
        le=65535,
        description="Port of /metrics, /healthz and /readyz; 0 takes a free one.",
    )
    http_token_file: Path | None = Field(
        None,
        description="File with the tokens for /metrics and for the details of /healthz and /readyz,"
        " one a line. A changed file is read with the next request. Default: no token is needed.",
    )
    http_certificate: Path | None = Field(
        None, description="Certificate chain of the HTTP port (PEM); it turns TLS on."
    )
    http_private_key: Path | None = Field(
        None, description="Private key of `http_certificate` (PEM). Default: in the same file."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="Lowest level that is logged."
    )
    log_format: Literal["console", "json"] = Field(
        "console",
        description="Log lines for people (`console`), or one JSON object a line (`json`).",
    )

    @model_validator(mode="after")
    def _can_be_read(self) -> Self:
        if problem := check_format(self.readings_format, self.schema_registry):
            raise contradiction(problem, "readings_format")
        if self.events_format == "avro" and self.schema_registry is None:
            raise contradiction("avro needs schema_registry", "events_format", "schema_registry")
        return self

    @model_validator(mode="after")
    def _predictor_is_complete(self) -> Self:
        if self.predictor in ENDPOINTS and self.endpoint is None:
            raise contradiction(f"{self.predictor} needs an endpoint", "predictor", "endpoint")
        if self.predictor == BATCHES:
            for name in ("canary_predictor", "shadow_predictor"):
                if getattr(self, name) is not None:
                    raise contradiction("amazon-ml-batch has no second one", "predictor", name)
            for name in ("endpoint", "batch_location"):
                if getattr(self, name) is None:
                    raise contradiction(f"amazon-ml-batch needs {name}", "predictor", name)
            if self.when_down != "hold":
                raise contradiction(
                    "amazon-ml-batch waits for the service: when_down should be hold",
                    "predictor",
                    "when_down",
                )
            if self.store_features is not None:
                raise contradiction(
                    "amazon-ml-batch drops the features of windows once they are in its bucket;"
                    " batch_clean_up = false keeps them there",
                    "predictor",
                    "store_features",
                )
        if self.predictor == "onnx" and self.model is None:
            raise contradiction("onnx needs a model", "predictor", "model")
        return self

    @model_validator(mode="after")
    def _http_key_has_its_certificate(self) -> Self:
        if self.http_private_key is not None and self.http_certificate is None:
            raise contradiction(
                "a private key needs its certificate", "http_private_key", "http_certificate"
            )
        return self

    @model_validator(mode="after")
    def _model_has_one_source(self) -> Self:
        if self.model_registry is not None:
            if self.model is not None:
                raise contradiction("name one source of the model", "model", "model_registry")
            if self.predictor != "local":
                raise contradiction("a registry is for local", "predictor", "model_registry")
        return self

    @model_validator(mode="after")
    def _topics_differ(self) -> Self:
        """A worker that reads what it writes would never end."""
        by_topic: dict[str, list[str]] = {}
        for name in (*TOPIC_SETTINGS, "labels_topic"):
            if topic := getattr(self, name):
                by_topic.setdefault(topic, []).append(name)
        if self.shadow_predictor is not None:
            by_topic.setdefault(self.disagreements_topic, []).append("disagreements_topic")
        for topic, names in by_topic.items():
            if len(names) > 1:
                raise contradiction(f"should be different topics, not all {topic!r}", *names)
        return self

    @property
    def output_topics(self) -> tuple[str, ...]:
        """Return the topics to which workers write, each in the partition of the readings."""
        return tuple(topic for name in TOPIC_SETTINGS[1:] if (topic := getattr(self, name)))

    @property
    def registry_login(self) -> str | None:
        """Return the login of the schema registry in plain text."""
        login = self.schema_registry_login
        return login.get_secret_value() if login else None

    @property
    def activities(self) -> dict[str, str]:
        """Return activity names by label, from `endpoint_labels`."""
        pairs = (pair.partition("=") for pair in self.endpoint_labels.split(","))
        return {label.strip(): activity.strip() for label, _, activity in pairs}

    @property
    def known_activities(self) -> tuple[str, ...]:
        """Return the activities that ground truth may name, from `label_activities`."""
        return tuple(name.strip() for name in self.label_activities.split(","))

    @classmethod
    def load(cls, flags: Mapping[str, Any] | None = None, config: Path | None = None) -> Self:
        """Read the settings from flags, environment and file; the first that gives a value wins.

        Args:
            flags: values given on the command line or by a program, by name of the setting.
            config: TOML file; without it the one that STREAMER_CONFIG names, if any.

        Raises:
            SettingsError: one line for each wrong value or name, and the place where it is given.
        """
        sources = read_sources(cls, flags or {}, config)
        values = {name: value for source in reversed(sources) for name, value in source.values}
        complaints = [line for source in sources for line in source.complaints]
        try:
            settings = cls.model_validate(values)
        except ValidationError as error:
            where = find_places(sources)
            complaints += [complaint(cls, problem, where) for problem in error.errors()]
            raise SettingsError("\n".join(complaints)) from None
        if complaints:
            raise SettingsError("\n".join(complaints))
        return settings

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003
        init_settings: PydanticBaseSettingsSource,
        *_: PydanticBaseSettingsSource,
        **__: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Read no other source: `load` reads them, and knows which value came from where."""
        return (init_settings,)

    @property
    def rules(self) -> Rules:
        """Return the settings that decide about windows."""
        return Rules(
            max_gap_us=round(self.max_gap_ms * 1000),
            lateness_us=round(self.allowed_lateness_ms * 1000),
            idle_us=round(self.idle_timeout_s * 1_000_000),
            min_coverage=self.min_coverage,
            max_devices=self.max_devices,
        )
