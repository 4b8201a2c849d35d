"""The worker as an operating system process: supervisor, signals, HTTP, logging, warm-up."""
