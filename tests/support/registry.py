"""A real schema registry on this machine: Apicurio, which answers Confluent's API too."""

import fcntl
import os
import socket
import subprocess
import tarfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from streamer.localkafka.jars import cache_dir
from streamer.localkafka.node import java_runtime

VERSION = "3.3.3"
START_S = 120


@pytest.fixture(scope="session")
def registry() -> Iterator[str]:
    """URL of the registry's API; skips where the registry cannot be had."""
    folder = cache_dir() / f"apicurio-{VERSION}"
    try:
        jar = _find_or_download(folder)
    except (ImportError, OSError, RuntimeError) as error:
        pytest.skip(f"Apicurio Registry {VERSION} cannot be downloaded: {error}")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    environment = os.environ | {
        "QUARKUS_HTTP_HOST": "127.0.0.1",
        "QUARKUS_HTTP_PORT": str(port),
        # It cannot be turned off, so it must not have a port that another one may have.
        "QUARKUS_MANAGEMENT_HOST": "127.0.0.1",
        "QUARKUS_MANAGEMENT_PORT": "0",
    }
    command = [java_runtime(), "-Xmx512m", "-XX:TieredStopAtLevel=1", "-jar", str(jar)]
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as server:
        try:
            url = f"http://127.0.0.1:{port}/apis/ccompat/v7"
            _wait(url)
            yield url
        finally:
            server.kill()


def _find_or_download(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        # Tests run side by side: another process may be unpacking the archive.
        fcntl.flock(lock, fcntl.LOCK_EX)
        return next(iter(folder.rglob("quarkus-run.jar")), None) or _download(folder)


def _download(folder: Path) -> Path:
    from jgo.maven import MavenContext

    project = MavenContext(repo_cache=folder / "repo").project(
        "io.apicurio", "apicurio-registry-app"
    )
    archive = project.at_version(VERSION).artifact(classifier="all", packaging="tar.gz").resolve()
    with tarfile.open(archive) as files:
        files.extractall(folder / "app", filter="data")
    Path(archive).unlink()
    return next(iter(folder.rglob("quarkus-run.jar")))


def _wait(url: str) -> None:
    deadline_s = time.monotonic() + START_S
    while True:
        try:
            with urllib.request.urlopen(f"{url}/subjects", timeout=5):
                return
        except (urllib.error.URLError, OSError):
            if time.monotonic() > deadline_s:
                pytest.skip(f"Apicurio Registry did not start within {START_S} s")
            time.sleep(0.2)
