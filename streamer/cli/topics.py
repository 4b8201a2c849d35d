"""`streamer topics`: create them, or check those that exist."""

import asyncio

import click
import rich
from rich.table import Table

from streamer import log
from streamer.cli.options import settings_options
from streamer.kafka.topics import check as find
from streamer.kafka.topics import ensure
from streamer.settings import Settings

PATIENCE_S = 10.0
