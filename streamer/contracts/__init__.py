"""What streamer reads from Kafka and writes to it: readings, events, dead letters, schemas."""
