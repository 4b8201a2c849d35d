"""The command line: one file a command, no logic in any of them."""

import difflib
from importlib import import_module
from typing import Any

import click

from streamer import __version__
from streamer.cli.failures import describe, report, report_bug

COMMANDS = {
    "demo": "Broker, endpoint, worker and devices, then the live table.",
    "run": "The worker: readings in, activity events out.",
    "watch": "Live table of devices and what they do.",
    "broker": "A real Apache Kafka on this machine, without Docker or Java.",
    "topics": "Create the topics, or check existing ones.",
    "devices": "Look at recordings of other devices.",
    "replay": "Publish recordings as devices.",
    "simulate": "Publish synthetic people as devices.",
    "endpoint": "A prediction server that speaks as Amazon ML and SageMaker do.",
    "serve": "The same, as SageMaker runs it in a container.",
    "dlq": "Look at refused readings, and put them back.",
    "evaluate": "Judge the events of replayed recordings.",
    "dataset": "Convert data sets, and show what is in them.",
    "model": "Train and inspect models.",
    "plan": "How much of everything a number of devices needs.",
    "config": "Show and check the settings.",
}
"""Each lives in the module of its name; kept here so that `--help` imports none of them."""


class _Commands(click.Group):
    """Imports a command when it is used."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = getattr(import_module(f"streamer.cli.{cmd_name}"), cmd_name)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        close = difflib.get_close_matches(args[0], COMMANDS, n=1)
        if args[0] not in COMMANDS and close:
            ctx.fail(f"There is no command {args[0]!r}. Did you mean {close[0]!r}?")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except (click.exceptions.Exit, click.ClickException, click.Abort):
            raise
        except KeyboardInterrupt:
            ctx.exit(130)
        except Exception as error:
            if words := describe(error):
                report(words)
            elif not report_bug(error):
                raise
            ctx.exit(1)


@click.group(cls=_Commands)
@click.version_option(__version__, prog_name="streamer")
def main() -> None:
    """Activity labels from motion sensors, over Kafka, exactly once."""
