"""Defines the command `streamer`: each of its commands is a file here, without logic."""

import difflib
from importlib import import_module
from typing import Any

import click

from streamer import __version__
from streamer.cli.failures import describe, report_bug, report_error, report_traceback

COMMANDS = {
    "demo": "Run all parts on this machine, and show the live table.",
    "run": "Run a worker: it reads readings and publishes events.",
    "gateway": "Take readings over HTTP, WebSocket and MQTT.",
    "watch": "Show a live table of devices and their activities.",
    "feedback": "Say what a device really did.",
    "explain": "Show how the label of a window came about, or why there is none.",
    "report": "Show what a device did on a day.",
    "backfill": "Process old readings again, into new topics.",
    "events": "Compare topics of events.",
    "broker": "Run Apache Kafka on this machine, without Docker.",
    "topics": "Create the topics, or check existing ones.",
    "devices": "Inspect recordings of other devices.",
    "replay": "Publish recordings as devices.",
    "simulate": "Publish synthetic people as devices.",
    "endpoint": "Run a prediction server that speaks Amazon ML and SageMaker.",
    "serve": "Run the prediction server in a container of SageMaker.",
    "dlq": "Show rejected records, and put them back.",
    "skip": "Tell the workers to skip a record that they cannot process.",
    "predict": "Predict recordings or feature tables, without Kafka.",
    "evaluate": "Compare events of replayed recordings with true labels.",
    "dataset": "Convert data sets, show their statistics, compute features.",
    "features": "Look at the windows that workers have stored.",
    "amazon-ml": "Train, judge and use a model in Amazon ML, or in our endpoint.",
    "model": "Train, judge and show models.",
    "plan": "Compute the partitions, workers and network that devices need.",
    "config": "Show and check the settings.",
    "completion": "Print what makes a shell complete commands and options.",
}
"""Help of each command; the module of the same name defines it.

The texts are here so that `--help` does not import the modules.
"""


class _Commands(click.Group):
    """A group that imports a command when it is called."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if args[:1] == ["help"]:
            args = [*args[1:], "--help"]
        return super().parse_args(ctx, args)

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in COMMANDS:
            return None
        name = cmd_name.replace("-", "_")
        command: click.Command = getattr(import_module(f"streamer.cli.{name}"), name)
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
        except Exception as error:  # noqa: BLE001 - it is reported, whatever it is
            if words := describe(error):
                if ctx.params["debug"]:
                    report_traceback(error)
                report_error(words)
            else:
                report_bug(error)
            ctx.exit(1)


@click.group(cls=_Commands)
@click.version_option(__version__, prog_name="streamer")
@click.option("--debug", is_flag=True, help="Print the traceback of an error, too.")
def main(debug: bool) -> None:
    """Activity labels from motion sensors, over Kafka, exactly once."""
