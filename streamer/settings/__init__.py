"""All settings: typed models, and where each value comes from."""

from streamer.settings.catalogue import TOPIC_SETTINGS, Settings
from streamer.settings.gateway import GatewaySettings
from streamer.settings.views import as_toml, origins

__all__ = ["TOPIC_SETTINGS", "GatewaySettings", "Settings", "as_toml", "origins"]
