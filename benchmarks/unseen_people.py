"""Trains on two thirds of the people, and evaluates labels of the others through a real Kafka.

    python benchmarks/unseen_people.py RAW_DIR

It does so three times, so that each person is judged once, by a model that was trained without this
person. It also judges the same models offline, with windows that start at other samples.

RAW_DIR is the folder RawData of the public download. The benchmark uses the commands of users:
broker, model train, replay, run, evaluate.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

import click
import msgspec

from streamer.datasets.public_recordings import read_labelled_recordings
from streamer.localkafka.broker import LocalKafka
from streamer.training.classification_scores import ConfusionMatrix

AGREEMENT = 0.003
"""How far the figures through Kafka may be from those offline."""

CASES = ("one window, through Kafka", "one window, offline")
CASES += ("smoothed, through Kafka", "smoothed, offline")

Pairs = list[tuple[str, str]]


def streamer(*arguments: str | Path) -> str:
    """Run a command of ours; what it printed."""
    command = [sys.executable, "-m", "streamer", *map(str, arguments)]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


@click.command()
@click.argument("raw_dir", type=click.Path(exists=True, file_okay=False, path_type=Path))
def main(raw_dir: Path) -> None:
    """Report macro-F1 over people whom the model that judged them had never seen."""
    users = sorted({int(session.subject) for session in read_labelled_recordings(raw_dir)})
    everybody: dict[str, Pairs] = {case: [] for case in CASES}
    with tempfile.TemporaryDirectory() as scratch, LocalKafka() as kafka:
        for third in range(3):
            unseen = users[third::3]
            found = judge(raw_dir, unseen, Path(scratch, str(third)), kafka.bootstrap_servers)
            report({"learned_from": len(users) - len(unseen), "judged_by": unseen}, found)
            for case, pairs in found.items():
                everybody[case] += pairs
    figures = report({"judged_by": "all, each by a model of others"}, everybody)
    one, one_offline, smoothed, smoothed_offline = figures
    apart = max(abs(one - one_offline), abs(smoothed - smoothed_offline))
    if apart > AGREEMENT:
        raise click.ClickException(f"Kafka and offline are {apart:.4f} apart, over {AGREEMENT}")


def report(people: dict[str, object], found: dict[str, Pairs]) -> list[float]:
    """Print macro-F1 of each case as a JSON line."""
    figures = {case: macro_f1(pairs) for case, pairs in found.items()}
    rounded = {case: round(figure, 4) for case, figure in figures.items()}
    click.echo(msgspec.json.encode({"benchmark": "unseen_people"} | people | rounded).decode())
    return list(figures.values())


def macro_f1(pairs: Pairs) -> float:
    """Of (true, published) activities."""
    return ConfusionMatrix.of([true for true, _ in pairs], [said for _, said in pairs]).macro_f1


def judge(raw_dir: Path, unseen: list[int], scratch: Path, kafka: str) -> dict[str, Pairs]:
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
    events, listed = where[:6], ",".join(map(str, unseen))
    streamer("model", "train", raw_dir, "--output", model, "--exclude-users", listed,
             "--features", "published", "--algorithm", "tree")  # fmt: skip
    streamer("replay", theirs, *where, "--speed", "max", "--batch", "50", "--format", "f32")
    streamer("run", *where, "--group-id", scratch.name, "--until-end", "--http-port", "0",
             "--model", model)  # fmt: skip
    streamed = msgspec.json.decode(streamer("evaluate", *events, "--labels", labels, "--json"))
    offline = msgspec.json.decode(
        streamer("model", "evaluate", raw_dir, "--model", model, "--users", listed, "--json")
    )
    tables = (streamed["raw"], offline["window"], streamed, offline["smoothed"])
    return {
        case: [
            (true, said)
            for true, answers in table["confusion"].items()
            for said, count in answers.items()
            for _ in range(count)
        ]
        for case, table in zip(CASES, tables, strict=True)
    }


if __name__ == "__main__":
    main()
