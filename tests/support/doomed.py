"""Runs our command line until it is about to do a certain thing for the n-th time, then is struck.

    python -m tests.support.doomed POINT N SIGKILL run --bootstrap-servers ...

With SIGKILL nothing is flushed, nothing says goodbye; with SIGSTOP it may wake up later.
"""

import os
import signal
import sys
from collections.abc import Callable
from importlib import import_module
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from streamer.cli import main
from streamer.flow.partition_state import PartitionState
from streamer.kafka import start
from streamer.kafka.partition_models import PartitionModels
from streamer.kafka.sink import PartitionSink

POINTS: dict[str, tuple[Any, str]] = {
    "before computing": (PartitionState, "compute"),
    "before predicting": (PartitionState, "_featured"),
    "inside a transaction, before anything is sent": (PartitionSink, "_send"),
    "after sending, before the position": (AIOKafkaProducer, "send_offsets_to_transaction"),
    "after the position, before the commit": (AIOKafkaProducer, "commit_transaction"),
    "after a commit": (PartitionSink, "_account"),
    "after fencing, before reading the position": (start, "find_start"),
    "during recovery": (PartitionState, "replay"),
}
EXACTLY_ONCE = list(POINTS)
POINTS["when models begin to decide"] = (PartitionModels, "_change")
BATCHES = {
    "before a batch is stored": ("streamer.predict.batch_objects:BatchObjects", "upload"),
    "after a batch was stored": ("streamer.predict.amazon_ml_jobs:AmazonMLJobs", "complete"),
    "after a job was created": ("streamer.predict.amazon_ml_jobs:AmazonMLJobs", "_follow"),
    "before results are read": ("streamer.predict.amazon_ml_jobs:AmazonMLJobs", "find_results"),
    "before a batch is removed": ("streamer.predict.amazon_ml_jobs:AmazonMLJobs", "delete"),
}
"""Points of a worker that predicts in batches, by names: the AWS SDK takes a while to import."""
POINTS["at least once: after sending, before the position"] = (AIOKafkaConsumer, "commit")


def doom(point: str, passage: int, blow: signal.Signals) -> None:
    """Send this process a signal at the n-th passage of a point."""
    owner, name = BATCHES[point] if point in BATCHES else POINTS[point]
    if isinstance(owner, str):
        module, _, owner = owner.partition(":")
        owner = getattr(import_module(module), owner)
    doomed: Callable[..., Any] = getattr(owner, name)
    passages = 0

    def killing(*args: Any, **kwargs: Any) -> Any:
        nonlocal passages
        passages += 1
        if passages == passage:
            os.kill(os.getpid(), blow)
        return doomed(*args, **kwargs)

    setattr(owner, name, killing)


if __name__ == "__main__":
    doom(sys.argv[1], int(sys.argv[2]), signal.Signals[sys.argv[3]])
    main(sys.argv[4:], prog_name="streamer")
