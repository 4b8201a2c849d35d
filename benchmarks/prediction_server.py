"""Starts `streamer endpoint` as a process, for benchmarks that call an endpoint."""

import os
import re
import subprocess
import sys
import urllib.request
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from streamer.localkafka.broker import free_ports
from tests.support.processes import until

CREDENTIALS = {
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_ACCESS_KEY_ID": "x",
    "AWS_SECRET_ACCESS_KEY": "x",
}
"""Variables that the clients of AWS need; the server does not check them."""


@contextmanager
def prediction_server(faults: Iterable[str] = (), cores: set[int] | None = None) -> Iterator[str]:
    """Run a server with these faults, on these cores; yield its address.

    The variables of this process send every client of AWS to the server.
    """
    [port] = free_ports(1)
    address = f"http://127.0.0.1:{port}"
    os.environ |= CREDENTIALS | {"AWS_ENDPOINT_URL": address}
    command = [sys.executable, "-m", "streamer", "endpoint", "--port", str(port)]
    for fault in faults:
        command += ["--fault", fault]
    process = subprocess.Popen([*command, "--log-level", "warning"])
    if cores is not None:
        os.sched_setaffinity(process.pid, cores)
    try:
        until(lambda: _answers(address))
        yield address
    finally:
        process.terminate()
        process.wait()


def count_throttled(address: str) -> int:
    """Return how many predictions of Amazon ML the server has throttled."""
    page = urllib.request.urlopen(f"{address}/metrics").read().decode()
    return int(sum(map(float, re.findall(r'requests_total\{path="/",status="400"\} (\S+)', page))))


def _answers(address: str) -> bool:
    try:
        urllib.request.urlopen(f"{address}/ping").close()
    except OSError:
        return False
    return True
