"""One partition, from records to the commit: pipeline, state, recovery, reject limit."""
