"""Trains on two thirds of the people, streams the others through a real Kafka, judges the labels.

    python benchmarks/unseen_people.py RAW_DIR [--output result.json]

RAW_DIR is the folder RawData of the public download. Everything goes through the commands that
users have: broker, model train, replay, run, evaluate.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

import click
import msgspec

from streamer.kafka.broker import LocalKafka
from streamer.model.recordings import read_labels

GOAL = 0.95


def streamer(*arguments: str | Path) -> str:
    """Run a command of ours; what it printed."""
    command = [sys.executable, "-m", "streamer", *map(str, arguments)]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


@click.command()
@click.argument("raw_dir", type=click.Path(exists=True, file_okay=False, path_type=Path))
def main(raw_dir: Path) -> None:
    """Report accuracy and macro-F1 over people whom the model has never seen."""
    users = sorted({segment.user for segment in read_labels(raw_dir / "labels.txt")})
    unseen = users[::3]
    with tempfile.TemporaryDirectory() as scratch, LocalKafka() as kafka:
        model, theirs = Path(scratch, "model.npz"), Path(scratch, "RawData")
        excluded = ",".join(map(str, unseen))
        click.echo(
            streamer("model", "train", raw_dir, "--output", model, "--exclude-users", excluded)
        )
        theirs.mkdir()
        for user in unseen:
            for file in raw_dir.glob(f"*_user{user:02d}.txt"):
                (theirs / file.name).symlink_to(file.resolve())
        where = ("--bootstrap-servers", kafka.bootstrap_servers)
        streamer("replay", theirs, *where, "--speed", "max", "--batch", "50", "--format", "f32")
        streamer("run", *where, "--until-end", "--http-port", "0", "--model", model)
        labels = raw_dir / "labels.txt"
        result = msgspec.json.decode(streamer("evaluate", *where, "--labels", labels, "--json"))
        click.echo(streamer("evaluate", *where, "--labels", labels))
        click.echo(f"{len(users) - len(unseen)} people to learn from, {len(unseen)} to judge by")
        if result["macro_f1"] < GOAL:
            raise click.ClickException(f"macro-F1 {result['macro_f1']:.4f} is under {GOAL}")


if __name__ == "__main__":
    main()
