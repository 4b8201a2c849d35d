"""What operators see: health, metrics over HTTP, the live table."""
