"""`streamer gateway` takes readings over HTTP, WebSocket and MQTT."""

import click

from streamer.cli.options import flag_names, settings_options
from streamer.errors import SettingsError
from streamer.gateway.server import run_gateway
from streamer.gateway.token_file import Grant, make_token
from streamer.process.event_loop import run_to_completion
from streamer.settings import GatewaySettings
from streamer.settings.connection import Connection
from streamer.terminal import echo

_KAFKA = (
    *flag_names(Connection),
    "readings_topic",
    "readings_format",
    "events_topic",
    "group_id",
    "schema_registry",
    "schema_registry_login",
    "create_topics",
    "max_future_skew_s",
    "log_level",
    "log_format",
)
_OWN = tuple(
    name for name in GatewaySettings.model_fields if name.startswith(("gateway_", "mqtt_"))
)


class _ServesByDefault(click.Group):
    """A group that runs `serve` when no command is named: making a token needs no settings."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if not args or (args[0].startswith("-") and args[0] != "--help"):
            args = ["serve", *args]
        return super().parse_args(ctx, args)


@click.group(cls=_ServesByDefault)
def gateway() -> None:
    """Take readings over HTTP, WebSocket and MQTT, and write them to Kafka.

    Without a command it is `serve`, which has all options.
    """


@gateway.command
@settings_options(*_KAFKA, *_OWN, model=GatewaySettings)
def serve(settings: GatewaySettings) -> None:
    """Run the gateway.

    SIGTERM or Ctrl-C answers what is open, waits for Kafka, and ends it.
    """
    run_to_completion(run_gateway(settings))


@gateway.command
@click.option("--device", metavar="ID", help="The only device that the token is good for.")
@click.option(
    "--fleet",
    metavar="PREFIX",
    help="Make a token for all devices whose ids begin with PREFIX; '' is for all devices.",
)
@click.option("--who", metavar="NAME", help="Holder of the token, for log lines.")
def token(device: str | None, fleet: str | None, who: str | None) -> None:
    """Make a token, and print it and its line for the file of gateway_tokens.

    The token itself goes to the device and is kept nowhere else.
    """
    if (device is None) == (fleet is None):
        raise SettingsError("give either --device ID or --fleet PREFIX")
    holder = who or device or (f"fleet-{fleet}" if fleet else "fleet")
    grant = Grant(holder, device_id=device) if device else Grant(holder, prefix=fleet or "")
    secret, line = make_token(grant)
    echo(f"token: {secret}", err=True)
    echo(line)
