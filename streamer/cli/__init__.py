"""The command line: one file a command, no logic in any of them."""

import click


@click.group()
def main() -> None:
    """Activity labels from motion sensors, over Kafka, exactly once."""
