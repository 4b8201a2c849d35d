"""All settings: one typed model, and where each value comes from."""

from streamer.settings.catalogue import Settings
from streamer.settings.views import as_toml, origins

__all__ = ["Settings", "as_toml", "origins"]
