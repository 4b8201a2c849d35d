"""What streamer reads from Kafka and what it writes there; `docs/contracts.md` is for users."""
