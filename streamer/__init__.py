"""Activity labels from phone and wearable motion sensors, over Kafka, exactly once."""

__version__ = "0.2.0"
