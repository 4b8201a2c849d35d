"""The worker as a member of a consumer group: partitions, fetching, committing, topics."""
