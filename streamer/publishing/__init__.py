"""Synthetic people and recordings, published to Kafka like the readings of phones."""
