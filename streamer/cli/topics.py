"""`streamer topics` creates missing topics, and checks existing ones."""

import asyncio
import shlex

import click
import msgspec
from rich.text import Text

from streamer.cli.options import TOPICS, settings_options
from streamer.cli.progress import show_progress
from streamer.kafka import topics as kafka_topics
from streamer.kafka.backfill import name_topics
from streamer.kafka.grants import grant
from streamer.kafka.permissions import ROLES, needed
from streamer.kafka.topic_rules import Finding
from streamer.printable import printable
from streamer.process import log
from streamer.settings import TOPIC_SETTINGS, Settings
from streamer.terminal import echo, terminal
from streamer.tools.split_devices import check_devices

_PATIENCE_S = 10.0
_COLOURS = {"error": "red", "warning": "yellow"}


_BACKFILL = click.option(
    "--backfill",
    metavar="NEW",
    help="For the topics and the group of `streamer backfill --events-topic NEW`.",
)


@click.group()
def topics() -> None:
    """Create the topics, or check existing ones."""


@topics.command()
@_BACKFILL
@settings_options(
    *TOPICS,
    "labels_topic",
    "replication_factor",
)
def create(settings: Settings, backfill: str | None) -> None:
    """Create the topics that are missing."""
    log.configure(settings)
    if backfill:
        settings = name_topics(settings, backfill)
    created = asyncio.run(_create(settings))
    for name in created:
        echo(f"created {name}")
    if not created:
        echo("all topics are there already")


@topics.command(short_help="Check the configuration of the topics.")
@settings_options(
    *TOPICS,
    "allowed_lateness_ms",
    "max_future_skew_s",
    "idle_timeout_s",
    "delivery",
)
@click.option("--json", "as_machine", is_flag=True, help="Print one JSON list.")
@click.pass_context
def check(ctx: click.Context, settings: Settings, as_machine: bool) -> None:
    """Check the configuration of the topics; the exit code is 1 if data would be lost.

    It also reads the events of the last hour, to find devices whose readings are in two partitions.
    """
    log.configure(settings)
    with show_progress():
        findings = asyncio.run(_check(settings))
    if as_machine:
        echo(msgspec.json.encode([msgspec.to_builtins(found) for found in findings]))
        ctx.exit(int(any(found.severity == "error" for found in findings)))
    for found in findings:
        severity = Text(found.severity, style=f"bold {_COLOURS[found.severity]}")
        words = printable(f"  {found.topic}: {found.problem}\n  remedy: {found.remedy}", keep="\n")
        terminal().print(severity + Text(words), soft_wrap=True)
    if not findings:
        echo("the topics are fine")
    ctx.exit(int(any(found.severity == "error" for found in findings)))


@topics.command(short_help="Print or grant the permissions that a program needs.")
@click.option(
    "--role",
    type=click.Choice(list(ROLES)),
    default="worker",
    show_default=True,
    help="The program that needs the permissions.",
)
@click.option("--principal", default="User:streamer", show_default=True, help="Kafka's user.")
@click.option(
    "--grant",
    "is_granted",
    is_flag=True,
    help="Add the ACLs instead of printing commands. It needs a user who may change the cluster.",
)
@click.option(
    "--admin-config",
    metavar="FILE",
    help="File for --command-config of the printed commands: the login of Kafka's own tools.",
)
@_BACKFILL
@settings_options("bootstrap_servers", *TOPIC_SETTINGS, "labels_topic", "group_id", "log_format")
def permissions(
    settings: Settings,
    role: str,
    principal: str,
    is_granted: bool,
    admin_config: str | None,
    backfill: str | None,
) -> None:
    """Print the ACLs that a program needs, as commands of Kafka's own tool.

    A cluster that denies by default needs these and no others. With --grant they are added.
    """
    if backfill:
        settings = name_topics(settings, backfill)
    wanted = needed(role, settings)
    if is_granted:
        log.configure(settings)
        asyncio.run(grant(settings, wanted, principal, _PATIENCE_S))
        echo(f"{principal} may do what the role {role} needs: {len(wanted)} ACLs")
        return
    tool = ["kafka-acls.sh", "--bootstrap-server", settings.bootstrap_servers]
    tool += ["--command-config", admin_config] if admin_config else []
    for permission in wanted:
        echo(shlex.join([*tool, *permission.as_arguments(principal)]))


async def _create(settings: Settings) -> list[str]:
    created = await kafka_topics.ensure(settings, _PATIENCE_S)
    return created + await kafka_topics.ensure_labels(settings, _PATIENCE_S)


async def _check(settings: Settings) -> list[Finding]:
    findings = await kafka_topics.check(settings, _PATIENCE_S)
    if any(found.severity == "error" for found in findings):
        return findings
    return findings + await check_devices(settings, _PATIENCE_S)
