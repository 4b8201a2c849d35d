import asyncio
import shutil
import ssl
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import certifi
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, errors
from aiokafka.admin import AIOKafkaAdminClient

from streamer.errors import KafkaError, SettingsError
from streamer.kafka import topics
from streamer.kafka.aiokafka_internals import GroupFullError
from streamer.kafka.client import client_options, connect
from streamer.kafka.fatal import ADVICE, InstanceTakenError, explain_fatal
from streamer.kafka.reader import open_reader, read_to_end
from streamer.localkafka.broker import LocalKafka, free_ports
from streamer.settings import Settings
from tests.conftest import MakeSettings
from tests.support.member import Member

CLIENTS = [AIOKafkaConsumer, AIOKafkaProducer, AIOKafkaAdminClient]
SASL = {"sasl_mechanism": "SCRAM-SHA-512", "sasl_username": "me", "sasl_password": "secret"}


@pytest.mark.parametrize("kind", CLIENTS)
async def test_every_kind_of_client_is_started_and_stopped(
    kind: Any, make_settings: MakeSettings
) -> None:
    async with connect(lambda: kind(**client_options(make_settings()))) as client:
        inner = client.client if kind is AIOKafkaProducer else client._client
        assert inner.cluster.brokers()
    assert client._closed


@pytest.mark.parametrize("kind", CLIENTS)
async def test_without_a_broker_the_error_has_the_address_and_a_remedy(kind: Any) -> None:
    address = f"127.0.0.1:{free_ports(1)[0]}"
    made = []

    def make() -> Any:
        made.append(kind(bootstrap_servers=address))
        return made[-1]

    began = time.monotonic()
    with pytest.raises(KafkaError, match=f"{address}.*--bootstrap-servers"):
        async with connect(make, patience_s=3.0):
            pass
    assert 3.0 <= time.monotonic() - began < 10.0
    assert len(made) > 1
    assert all(client._closed for client in made)


async def test_a_broker_that_accepts_and_does_not_answer_is_an_error_after_the_timeout() -> None:
    hung_up = asyncio.Event()

    async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()
        await writer.wait_closed()
        hung_up.set()

    async with await asyncio.start_server(say_nothing, "127.0.0.1", 0) as server:
        address = "{}:{}".format(*server.sockets[0].getsockname())
        with pytest.raises(KafkaError, match=address):
            async with connect(lambda: AIOKafkaConsumer(bootstrap_servers=address), 1.0):
                pass
        await asyncio.wait_for(hung_up.wait(), 5.0)


async def test_a_client_waits_for_a_broker_that_starts_later() -> None:
    kafka = LocalKafka()

    async def list_topics() -> list[str]:
        async with connect(
            lambda: AIOKafkaAdminClient(bootstrap_servers=kafka.bootstrap_servers)
        ) as admin:
            return list(await admin.list_topics())

    waiting = asyncio.create_task(list_topics())
    await asyncio.to_thread(kafka.__enter__)
    try:
        assert await waiting == []
    finally:
        await asyncio.to_thread(kafka.__exit__, None, None, None)


async def test_reading_a_topic_ends_with_an_error_when_its_broker_goes_away() -> None:
    """
    broker   |--------| killed
    reader      |-- first record .... no answer: an error
    """
    with LocalKafka() as kafka:
        settings = Settings.load({"bootstrap_servers": kafka.bootstrap_servers})
        await topics.ensure(settings)
        async with AIOKafkaProducer(bootstrap_servers=kafka.bootstrap_servers) as producer:
            await producer.send_and_wait(settings.dlq_topic, b"first", partition=0)
        async with open_reader(settings, settings.dlq_topic, "earliest", 60) as consumer:
            await asyncio.to_thread(kafka.kill)
            with pytest.raises(KafkaError, match=f"no Kafka broker.*{kafka.bootstrap_servers}"):
                async with asyncio.timeout(60):
                    [record async for record in read_to_end(consumer, patience_s=1)]


# topic    |-- first --| open: second | committed |
# reader   |-- first .... waits .................. second, end
async def test_reading_to_the_end_waits_for_a_transaction_that_is_being_committed(
    make_settings: MakeSettings,
) -> None:
    settings = make_settings()
    await topics.ensure(settings)
    async with AIOKafkaProducer(
        bootstrap_servers=settings.bootstrap_servers, transactional_id=settings.group_id
    ) as producer:
        await producer.begin_transaction()
        await producer.send_and_wait(settings.dlq_topic, b"first", partition=0)
        await producer.commit_transaction()
        await producer.begin_transaction()
        await producer.send_and_wait(settings.dlq_topic, b"second", partition=0)

        async def read() -> list[bytes | None]:
            async with open_reader(settings, settings.dlq_topic, "earliest", 60) as consumer:
                return [record.value async for record in read_to_end(consumer)]

        reading = asyncio.create_task(read())
        done, _ = await asyncio.wait({reading}, timeout=2)
        assert not done
        await producer.commit_transaction()
        assert await reading == [b"first", b"second"]


def test_a_plain_connection_needs_only_the_address() -> None:
    options = client_options(Settings.load({"bootstrap_servers": "a:1,b:2"}))
    assert options == {"bootstrap_servers": "a:1,b:2", "security_protocol": "PLAINTEXT"}


def test_tls_checks_the_broker_against_the_given_certificates() -> None:
    cafile = certifi.where()
    options = client_options(Settings.load({"security_protocol": "SSL", "ssl_cafile": cafile}))
    assert options["ssl_context"].verify_mode is ssl.CERT_REQUIRED
    assert options["ssl_context"].check_hostname
    assert options["ssl_context"].get_ca_certs()


@pytest.mark.parametrize("content", [None, "no certificate"])
def test_certificates_that_cannot_be_read_are_named(content: str | None, tmp_path: Path) -> None:
    cafile = tmp_path / "ca.pem"
    if content:
        cafile.write_text(content)
    settings = Settings.load({"security_protocol": "SSL", "ssl_cafile": str(cafile)})
    with pytest.raises(SettingsError, match=f"ssl_cafile.*{cafile}"):
        client_options(settings)


@pytest.mark.parametrize("protocol", ["SASL_PLAINTEXT", "SASL_SSL"])
def test_a_login_reaches_the_client(protocol: str) -> None:
    options = client_options(Settings.load(SASL | {"security_protocol": protocol}))
    assert options["sasl_mechanism"] == "SCRAM-SHA-512"
    assert options["sasl_plain_username"] == "me"
    assert options["sasl_plain_password"] == "secret"
    assert ("ssl_context" in options) == (protocol == "SASL_SSL")


class Untrusted(NamedTuple):
    """Addresses of listeners that are no use to a client, and a context for TLS."""

    tls: str
    plain: str
    context: ssl.SSLContext


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[str, str]:
    """A certificate that nobody knows, and its key."""
    if not shutil.which("openssl"):
        pytest.skip("openssl makes the certificate")
    files = str(tmp_path / "certificate.pem"), str(tmp_path / "key.pem")
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=kafka"]
    subprocess.run([*command, "-out", files[0], "-keyout", files[1]], check=True)
    return files


@pytest.fixture
async def untrusted(certificate: tuple[str, str]) -> AsyncIterator[Untrusted]:
    """A listener with TLS and that certificate, and one without TLS."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)

    def hang_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    async with (
        await asyncio.start_server(hang_up, "127.0.0.1", 0, ssl=context) as tls,
        await asyncio.start_server(hang_up, "127.0.0.1", 0) as plain,
    ):
        secured, bare = ("{}:{}".format(*s.sockets[0].getsockname()) for s in (tls, plain))
        yield Untrusted(secured, bare, ssl.create_default_context())


async def test_what_keeps_a_client_from_its_broker_is_named(untrusted: Untrusted) -> None:
    nobody = f"127.0.0.1:{free_ports(1)[0]}"
    cases = [
        ("no-such-host.invalid:9092", None, r"no-such-host\.invalid cannot be resolved"),
        (nobody, None, f"nothing accepts connections at {nobody}; check --bootstrap-servers"),
        (untrusted.plain, untrusted.context, "does not accept TLS; check security_protocol"),
        (untrusted.tls, untrusted.context, "is not accepted .*check ssl_cafile"),
        (untrusted.tls, None, "does not answer as a Kafka broker; check security_protocol"),
    ]
    for address, context, words in cases:
        options: dict[str, Any] = {"bootstrap_servers": address}
        if context:
            options |= {"security_protocol": "SSL", "ssl_context": context}
        with pytest.raises(KafkaError, match=f"within 0.5 s: .*{words}"):
            async with connect(partial(AIOKafkaAdminClient, **options), patience_s=0.5):
                pass


@pytest.mark.parametrize("name", ADVICE)
def test_every_error_that_a_restart_does_not_cure_says_what_to_change(name: str) -> None:
    ours = {each.__name__: each for each in (InstanceTakenError, GroupFullError)}
    error = ours.get(name) or getattr(errors, name)
    settings = Settings.load(SASL | {"security_protocol": "SASL_PLAINTEXT", "instance_id": "one"})
    told = explain_fatal(ExceptionGroup("", [error()]), settings)
    assert told is not None
    assert str(told).startswith(f"Kafka at {settings.bootstrap_servers} ")
    assert "{" not in str(told)


SASL_LISTENER = """\
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:ANONYMOUS
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,LOGIN:SASL_PLAINTEXT
listener.name.login.sasl.enabled.mechanisms=PLAIN
listener.name.login.plain.sasl.jaas.config=\
org.apache.kafka.common.security.plain.PlainLoginModule required user_me="secret";
"""


@pytest.fixture(scope="module")
def with_login() -> Iterator[tuple[str, str]]:
    """The addresses of a broker with a login and without one."""
    plain, login, controller = free_ports(3)
    listeners = (
        f"listeners=PLAINTEXT://127.0.0.1:{plain},LOGIN://127.0.0.1:{login},"
        f"CONTROLLER://127.0.0.1:{controller}\ncontroller.quorum.voters=1@127.0.0.1:{controller}\n"
    )
    with LocalKafka(port=plain, properties=listeners + SASL_LISTENER):
        yield f"127.0.0.1:{login}", f"127.0.0.1:{plain}"


@pytest.mark.parametrize(
    ("changed", "remedy"),
    [
        ({"sasl_password": "wrong"}, "check sasl_username and sasl_password"),
        ({"sasl_username": "you"}, "check sasl_username and sasl_password"),
        ({"sasl_mechanism": "SCRAM-SHA-512"}, "check sasl_mechanism"),
    ],
)
@pytest.mark.parametrize("kind", CLIENTS)
async def test_a_login_that_is_refused_is_named_with_its_broker_and_setting(
    kind: Any, changed: dict[str, str], remedy: str, with_login: tuple[str, str]
) -> None:
    login, _ = with_login
    right = {"bootstrap_servers": login, "security_protocol": "SASL_PLAINTEXT"} | SASL
    options = client_options(Settings.load(right | {"sasl_mechanism": "PLAIN"} | changed))
    with pytest.raises(KafkaError, match=f"{login} refuses the login .*{remedy}"):
        async with connect(lambda: kind(**options), patience_s=60.0):
            pass


async def test_a_user_without_rights_ends_the_worker_and_the_rights_are_named(
    with_login: tuple[str, str],
) -> None:
    login, plain = with_login
    await topics.ensure(Settings.load({"bootstrap_servers": plain}))
    right = {"security_protocol": "SASL_PLAINTEXT"} | SASL | {"sasl_mechanism": "PLAIN"}
    settings = Settings.load(right | {"bootstrap_servers": login})
    with pytest.raises(KafkaError, match=f"does not allow .* Read on {settings.readings_topic},"):
        await Member(settings).run()


async def test_the_right_login_is_accepted_and_a_listener_without_one_is_named(
    with_login: tuple[str, str],
) -> None:
    login, plain = with_login
    right = {"security_protocol": "SASL_PLAINTEXT"} | SASL | {"sasl_mechanism": "PLAIN"}
    options = client_options(Settings.load(right | {"bootstrap_servers": login}))
    async with connect(lambda: AIOKafkaAdminClient(**options), patience_s=60.0) as admin:
        assert await admin.list_topics() == []
    options = client_options(Settings.load(right | {"bootstrap_servers": plain}))
    with pytest.raises(KafkaError, match=f"{plain} refuses the login .*check security_protocol"):
        async with connect(lambda: AIOKafkaAdminClient(**options), patience_s=60.0):
            pass
