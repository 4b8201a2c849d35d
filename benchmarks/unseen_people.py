"""Trains on two thirds of the people, streams the others through a real Kafka, judges the labels.

    python benchmarks/unseen_people.py RAW_DIR

Three times, so that everybody is judged once, by a model that has not seen them.

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
from streamer.model.recordings import read_sessions
from streamer.model.scores import Confusion

GOAL = 0.95

Pairs = list[tuple[str, str]]


def streamer(*arguments: str | Path) -> str:
    """Run a command of ours; what it printed."""
    command = [sys.executable, "-m", "streamer", *map(str, arguments)]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


@click.command()
@click.argument("raw_dir", type=click.Path(exists=True, file_okay=False, path_type=Path))
def main(raw_dir: Path) -> None:
    """Report macro-F1 over people whom the model that judged them had never seen."""
    users = sorted({int(session.subject) for session in read_sessions(raw_dir)})
    everybody: Pairs = []
    with tempfile.TemporaryDirectory() as scratch, LocalKafka() as kafka:
        for third in range(3):
            unseen = users[third::3]
            found = judge(raw_dir, unseen, Path(scratch, str(third)), kafka.bootstrap_servers)
            everybody += found
            click.echo(
                f"{len(users) - len(unseen)} people to learn from, users {unseen} to judge by: "
                f"macro-F1 {macro_f1(found):.4f}"
            )
    overall = macro_f1(everybody)
    click.echo(f"all {len(users)}, each judged by a model of others: macro-F1 {overall:.4f}")
    if overall < GOAL:
        raise click.ClickException(f"that is under {GOAL}")


def macro_f1(pairs: Pairs) -> float:
    """Of (true, published) activities."""
    return Confusion.of([true for true, _ in pairs], [said for _, said in pairs]).macro_f1


def judge(raw_dir: Path, unseen: list[int], scratch: Path, kafka: str) -> Pairs:
    """Learn from the others, stream these, and compare labels: (true, published) of each window."""
    theirs, model, labels = scratch / "RawData", scratch / "model.npz", raw_dir / "labels.txt"
    theirs.mkdir(parents=True)
    for user in unseen:
        for file in raw_dir.glob(f"*_user{user:02d}.txt"):
            (theirs / file.name).symlink_to(file.resolve())
    topics = {"readings-topic": "readings", "events-topic": "events", "dlq-topic": "dlq"}
    where = ["--bootstrap-servers", kafka]
    for flag, name in topics.items():
        where += [f"--{flag}", f"{name}-{scratch.name}"]
    events = where[:6]
    excluded = ",".join(map(str, unseen))
    streamer("model", "train", raw_dir, "--output", model, "--exclude-users", excluded)
    streamer("replay", theirs, *where, "--speed", "max", "--batch", "50", "--format", "f32")
    streamer("run", *where, "--group-id", scratch.name, "--until-end", "--http-port", "0",
             "--model", model)  # fmt: skip
    result = msgspec.json.decode(streamer("evaluate", *events, "--labels", labels, "--json"))
    return [
        (true, said)
        for true, answers in result["confusion"].items()
        for said, count in answers.items()
        for _ in range(count)
    ]


if __name__ == "__main__":
    main()
