"""The exceptions that streamer raises for its users.

StreamerError
├── InstallationError  a package that streamer needs cannot be imported (also an ImportError)
├── SettingsError      a setting is unknown, malformed or contradicts another
├── DataError          a file or a data set is not what it should be
│   ├── ModelError     a model file cannot be used
│   └── StorageError   a folder or a bucket cannot be read or written
│       ├── MissingObjectError  it has no object of this name
│       └── ConflictError       somebody else has changed it at the same time
├── ShapeError         an array has the wrong shape or type (also a ValueError)
├── ProcessingError    records cannot be processed, and their contents are not the reason
│   └── RejectsError   most records are rejected: something is wrong with all of them
├── RegistryError      the schema registry does not answer as it should
├── EndpointError      the prediction endpoint refuses every call, or does not exist
└── KafkaError         Kafka is not as the worker needs it
    ├── TopicError     a topic is missing or set up so that it would lose data
    ├── RefusedError   Kafka refuses this worker, and starting again cannot help
    ├── LostRecordsError  records are gone, and the worker was told to stop then
    └── BrokerError    the local broker cannot be installed, started or reached

Every message says what is wrong, where, and what to do about it.
"""

from typing import Final

import msgspec

UNDECODABLE: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What msgspec raises for bytes of others: not what was expected, not UTF-8, nested too deeply."""


class StreamerError(Exception):
    """Base of all errors raised on purpose; the command line prints it without a traceback."""


class InstallationError(StreamerError, ImportError):
    """A package that streamer needs cannot be imported."""


class SettingsError(StreamerError):
    """A setting is unknown, malformed or contradicts another."""


class DataError(StreamerError):
    """A file or a data set is not what it should be."""


class ModelError(DataError):
    """A model file cannot be used."""


class StorageError(DataError):
    """A folder or a bucket cannot be read or written."""


class MissingObjectError(StorageError):
    """A folder or a bucket has no object of this name."""


class ConflictError(StorageError):
    """Somebody else has changed an object at the same time, or has created it before."""


class ShapeError(StreamerError, ValueError):
    """An array has the wrong shape or type."""


class ProcessingError(StreamerError):
    """Records cannot be processed, and their contents are not the reason."""


class RejectsError(ProcessingError):
    """Most records are rejected: something is wrong with all of them."""


class RegistryError(StreamerError):
    """The schema registry does not answer as it should."""


class CanaryError(StreamerError):
    """The canary has failed; nothing that it has decided since the last commit is published."""

    def __init__(self, canary: str, reason: str) -> None:
        super().__init__(f"the canary {canary} has failed: {reason}")
        self.canary = canary
        self.reason = reason


class EndpointError(StreamerError):
    """The prediction endpoint refuses every call, or does not exist."""


class KafkaError(StreamerError):
    """Kafka is not as the worker needs it."""


class TopicError(KafkaError):
    """A topic is missing, or set up so that it would lose data."""


class RefusedError(KafkaError):
    """Kafka refuses this worker, and starting again cannot help."""


class LostRecordsError(KafkaError):
    """Records are gone or the position is not one of this log, and the worker was told to stop."""


class BrokerError(KafkaError):
    """The local broker cannot be installed, started or reached."""
