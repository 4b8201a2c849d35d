"""Downloads the jars of Apache Kafka once, and checks them against the checksums in `jars.lock`."""

import hashlib
import os
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import structlog

from streamer.errors import BrokerError

log = structlog.get_logger(__name__)

KAFKA_VERSION = "4.1.1"

_LOCK = Path(__file__).with_name("jars.lock")
_DOWNLOADS = 8
"""How many at a time."""


@dataclass(frozen=True, slots=True)
class Jar:
    """One locked file of Maven Central."""

    group: str
    artifact: str
    version: str
    sha256: str

    @classmethod
    def parse(cls, line: str) -> Self:
        """Read ``group:artifact:version sha256``."""
        coordinates, sha256 = line.split()
        group, artifact, version = coordinates.split(":")
        return cls(group, artifact, version, sha256)

    @property
    def name(self) -> str:
        """Return the name of the file."""
        return f"{self.artifact}-{self.version}.jar"

    def is_at(self, path: Path) -> bool:
        """Return whether a file is this jar, complete and unchanged."""
        return path.exists() and hashlib.sha256(path.read_bytes()).hexdigest() == self.sha256


def fetch() -> str:
    """Return Kafka's class path, and download what the cache lacks. Later calls need no network.

    Raises:
        BrokerError: the extra ``streamer[local]`` is not installed, or the download failed.
    """
    folder = cache_dir() / f"kafka-{KAFKA_VERSION}"
    jars = locked()
    if missing := [jar for jar in jars if not jar.is_at(folder / jar.name)]:
        log.info(
            "downloading Apache Kafka, this happens once", version=KAFKA_VERSION, to=str(folder)
        )
        folder.mkdir(parents=True, exist_ok=True)
        with (
            tempfile.TemporaryDirectory(dir=folder, prefix="download-") as scratch,
            ThreadPoolExecutor(_DOWNLOADS) as pool,
        ):
            list(pool.map(lambda jar: _download(jar, folder, Path(scratch)), missing))
    return os.pathsep.join(str(folder / jar.name) for jar in jars)


def cache_dir() -> Path:
    """Return the folder of the jars: STREAMER_CACHE_DIR, or `streamer` in the user's cache."""
    default = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "streamer"
    return Path(os.environ.get("STREAMER_CACHE_DIR") or default).absolute()


def locked() -> list[Jar]:
    """Return the jars that `jars.lock` lists."""
    lines = _LOCK.read_text(encoding="utf-8").splitlines()
    return [Jar.parse(line) for line in lines if not line.startswith("#")]


def _download(jar: Jar, folder: Path, scratch: Path) -> None:
    try:
        from jgo.maven import MavenContext  # noqa: PLC0415
    except ImportError:
        raise BrokerError(
            "downloading Kafka needs the package jgo: pip install 'streamer[local]'"
        ) from None
    project = MavenContext(repo_cache=scratch).project(jar.group, jar.artifact)
    try:
        path = Path(project.at_version(jar.version).artifact().resolve())
    except (OSError, RuntimeError) as error:
        raise BrokerError(
            f"could not download {jar.name} of Apache Kafka {KAFKA_VERSION} from Maven Central: "
            f"{error}; the network is needed this once, check it and try again"
        ) from error
    if not jar.is_at(path):
        raise BrokerError(
            f"{jar.name} as downloaded is not the file that streamer was tested with (its SHA-256 "
            "differs); is there a proxy that changes what it passes on?"
        )
    # Another process may do the same, so a jar must appear complete or not at all.
    path.replace(folder / jar.name)
