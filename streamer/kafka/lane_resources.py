"""What all lanes of a worker share."""

from collections.abc import Mapping
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import TYPE_CHECKING

from aiokafka import AIOKafkaConsumer
from aiokafka.admin import AIOKafkaAdminClient

from streamer.features.feature_set import FeatureSet
from streamer.flow.device_partitions import SplitDeviceReport
from streamer.flow.unlabelled_devices import UnlabelledDevices
from streamer.health import Health
from streamer.kafka.aiokafka_internals import TopicState
from streamer.kafka.event_formats import DecodeEvent, EncodeEvent
from streamer.metrics import Metrics
from streamer.predict.models import Models
from streamer.settings import Settings

if TYPE_CHECKING:
    from streamer.predict.batch_predictor import BatchPredictor
    from streamer.storage.object_store import ObjectStore


@dataclass(frozen=True, slots=True)
class LaneResources:
    """What all lanes of a worker share.

    Attributes:
        topics: readings, events and dead letters, as they were when the session began.
        recreated: whether the readings' topic was made again since the session before.
        window_store: where windows are stored; None if they are not.
        batches: predicts windows in batches instead of `models`; None where these are asked.
    """

    settings: Settings
    metrics: Metrics
    health: Health
    models: Models
    feature_set: FeatureSet
    encode_event: EncodeEvent
    decode_event: DecodeEvent
    consumer: AIOKafkaConsumer
    admin: AIOKafkaAdminClient
    cpu: Executor
    topics: Mapping[str, TopicState]
    recreated: bool
    split_devices: SplitDeviceReport
    unlabelled: UnlabelledDevices
    window_store: "ObjectStore | None"
    batches: "BatchPredictor | None" = None
