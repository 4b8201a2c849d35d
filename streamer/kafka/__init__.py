"""Kafka: clients, sources, sinks, positions, and a broker to have at hand."""
