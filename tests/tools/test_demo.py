"""`streamer demo`, as a newcomer sees it."""

import signal
import socket
from pathlib import Path

import psutil
import pytest

from tests.support.processes import until
from tests.support.worker_process import Process

pytestmark = pytest.mark.kafka


def test_the_demo_shows_labels_and_ctrl_c_leaves_nothing_running(tmp_path: Path) -> None:
    demo = Process(tmp_path / "log", "demo", "--devices", "3", "--http-port", "0")
    try:
        until(lambda: "phone-001 " in demo.said or demo.process.poll() is not None)
        assert "phone-001 " in demo.said, demo.said
        assert "Ctrl-C ends everything" in demo.said
        family = psutil.Process(demo.process.pid).children(recursive=True)
        assert len(family) >= 5  # Kafka, endpoint, worker, devices, and who guards them
        assert "AWS_ENDPOINT_URL=http://127.0.0.1:" in demo.said
        demo.process.send_signal(signal.SIGINT)
        demo.ends(0, 30)
        _, left = psutil.wait_procs(family, timeout=10)
        assert left == []
    finally:
        demo.process.kill()


def test_a_port_in_use_is_an_error_with_a_remedy(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        demo = Process(tmp_path / "log", "demo", "--http-port", port)
        demo.ends(1, 60)
        assert "choose another with --http-port" in demo.said
