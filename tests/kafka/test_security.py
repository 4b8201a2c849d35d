"""TLS, logins and permissions, on a broker that asks for all of them."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from aiohttp import encode_basic_auth, web
from aiohttp.test_utils import TestServer
from aiokafka.admin import AIOKafkaAdminClient

from streamer.contracts.ground_truth import ActivityLabel
from streamer.contracts.records import OneRecord
from streamer.errors import KafkaError, StreamerError
from streamer.gateway.labels_writer import LabelsWriter
from streamer.gateway.reading_queue import Busy
from streamer.gateway.readings_topic import prepare_topic
from streamer.gateway.readings_writer import ReadingsWriter
from streamer.kafka import topics
from streamer.kafka.client import client_options, connect
from streamer.kafka.grants import grant
from streamer.kafka.ground_truth import publish_label, read_labels
from streamer.kafka.permissions import needed
from streamer.localkafka.security import ADMIN, make_certificates
from streamer.settings import TOPIC_SETTINGS, GatewaySettings, Settings
from streamer.testing import START_MS
from streamer.tools.dead_letters import Selection
from streamer.tools.letter_replay import put_back
from tests.support.member import (
    WINDOWS_OF_10_S,
    Member,
    publish,
    read_events,
    read_topic,
    run_to_end,
    ten_seconds,
    until,
    working,
)

pytest.importorskip("confluent_kafka", reason="permissions are given with confluent-kafka")
pytest.importorskip("trustme", reason="certificates are made with trustme")

from tests.support.secured_kafka import PASSWORDS, Issuer, SecuredKafka, run_secured_kafka

pytestmark = pytest.mark.kafka

WINDOWS_OF_20_S, WINDOWS_OF_60_S = range(13, 15), range(44, 46)
"""How many windows a device has that sends for so long: it depends on its phase."""


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecuredKafka]:
    folder = tmp_path_factory.mktemp("issuer")
    with pytest.MonkeyPatch.context() as patch:
        allowed = (folder / "jwks.json").as_uri()
        patch.setenv(
            "JAVA_TOOL_OPTIONS", f"-Dorg.apache.kafka.sasl.oauthbearer.allowed.urls={allowed}"
        )
        # Two seconds, after which the broker closes connections that have not logged in again.
        with run_secured_kafka(folder, "connections.max.reauth.ms=2000\n") as running:
            yield running


async def list_topics(settings: Settings, patience_s: float = 60) -> list[str]:
    async with connect(
        lambda: AIOKafkaAdminClient(**client_options(settings)), patience_s
    ) as admin:
        return list(await admin.list_topics())


async def test_a_client_with_a_certificate_and_a_login_is_let_in(secured: SecuredKafka) -> None:
    assert isinstance(await list_topics(secured.settings()), list)


@pytest.mark.parametrize(
    ("changed", "patience_s", "remedy"),
    [
        ({"ssl_certfile": None}, 3, "check ssl_certfile"),
        ({"ssl_cafile": None}, 3, "check ssl_cafile"),
        ({"sasl_password": "wrong"}, 60, "check sasl_username and sasl_password"),
    ],
)
async def test_what_the_broker_refuses_is_named_by_its_setting(
    changed: dict[str, Any], patience_s: float, remedy: str, secured: SecuredKafka
) -> None:
    with pytest.raises(KafkaError, match=f"{secured.kafka.bootstrap_servers}.*{remedy}"):
        await list_topics(secured.settings(**changed), patience_s)


@pytest.fixture
async def names(secured: SecuredKafka) -> dict[str, Any]:
    """Topics and group of a worker that has committed once, and readings for another time.

    The readings have one record that becomes a dead letter.
    """
    unique = uuid.uuid4().hex[:8]
    named = [*TOPIC_SETTINGS, "labels_topic", "group_id"]
    names: dict[str, Any] = {name: f"{name}-{unique}" for name in named}
    names["partitions"] = 1
    admin = secured.settings(**names)
    await topics.ensure(admin, 60)
    await publish(admin, ten_seconds("first"))
    await run_to_end(admin)
    rubbish = OneRecord(b"first", b"rubbish", [], START_MS, 0)
    await publish(admin, [*ten_seconds("first", 10.0), rubbish])
    return names


async def test_a_worker_needs_each_permission_of_its_list_and_no_other(
    secured: SecuredKafka, names: dict[str, Any]
) -> None:
    settings = secured.settings("worker", create_topics=False, **names)
    permissions = needed("worker", settings)
    for missing in permissions:
        others = [each for each in permissions if each != missing]
        with secured.grant("worker", others), pytest.raises(StreamerError) as refused:
            await run_to_end(settings)
        assert missing.name.rstrip("-") in str(refused.value)
        assert missing.operation in str(refused.value)
    with secured.grant("worker", permissions):
        await run_to_end(settings)
    admin = secured.settings(**names)
    assert len(await read_events(admin)) in WINDOWS_OF_20_S
    assert len(await read_topic(admin, settings.dlq_topic)) == 1


# permission   |-- given --| withdrawn
# worker       |-- works --| ends, and names it
async def test_a_worker_whose_permission_is_withdrawn_ends_and_names_it(
    secured: SecuredKafka, names: dict[str, Any]
) -> None:
    settings = secured.settings("worker", create_topics=False, session_timeout_s=6, **names)
    permissions = needed("worker", settings)
    of_topic, of_group, *_ = permissions
    for withdrawn in (of_topic, of_group):
        others = [each for each in permissions if each != withdrawn]
        member = Member(settings)

        async def works(member: Member = member) -> bool:
            return member.health.why_not_ready() is None

        with secured.grant("worker", others):
            with secured.grant("worker", [withdrawn]):
                running = asyncio.create_task(member.run())
                await until(works)
            await publish(secured.settings(**names), ten_seconds(withdrawn.kind))
            with pytest.raises(StreamerError) as refused:
                await running
        assert withdrawn.name.rstrip("-") in str(refused.value)
        assert withdrawn.operation in str(refused.value)


@asynccontextmanager
async def provider(issuer: Issuer, lasts_s: float) -> AsyncIterator[tuple[str, list[str]]]:
    """Serve tokens for the client `worker` with the secret `right`; list who was given one."""
    given: list[str] = []

    async def answer(request: web.Request) -> web.Response:
        form = await request.post()
        login = request.headers["Authorization"]
        if (login, form["scope"]) != (encode_basic_auth("worker", "right"), "kafka"):
            return web.json_response({"error": "invalid_client"}, status=401)
        given.append(login)
        token = issuer.sign("worker", lasts_s)
        return web.json_response({"access_token": token, "expires_in": lasts_s})

    app = web.Application()
    app.router.add_post("/token", answer)
    async with TestServer(app) as server:
        yield str(server.make_url("/token")), given


def with_tokens(connection: dict[str, Any], url: str, secret: Path) -> dict[str, Any]:
    """Replace the password of a connection by client credentials."""
    kept = {name: value for name, value in connection.items() if not name.startswith("sasl")}
    return kept | {
        "sasl_mechanism": "OAUTHBEARER",
        "oauth_token_url": url,
        "oauth_client_id": "worker",
        "oauth_client_secret_file": str(secret),
        "oauth_scope": "kafka",
    }


async def test_a_worker_with_tokens_works_on_after_they_have_expired(
    secured: SecuredKafka, names: dict[str, Any], tmp_path: Path
) -> None:
    """
    tokens    |--3 s--|--3 s--|--3 s--|      the broker closes connections whose token has expired
    readings  |  10 s |       |  10 s |
    events       7 or 8          all, each once
    """
    secret = tmp_path / "secret"
    secret.write_text("right\n")
    admin = secured.settings(**names)
    async with provider(secured.issuer, lasts_s=3) as (url, given):
        connection = with_tokens(secured.connection(), url, secret)
        settings = Settings.load(connection | names | {"create_topics": False}, None)
        with secured.grant("worker", needed("worker", settings)):
            async with working(Member(settings)) as worker:
                for seconds in range(20, 60, 10):
                    await publish(admin, ten_seconds("first", seconds))
                    asked = len(given)

                    async def renewed(asked: int = asked) -> bool:
                        return len(given) > asked

                    await until(renewed)

                async def labelled() -> bool:
                    return len(await read_events(admin)) in WINDOWS_OF_60_S

                await until(labelled)
            events = await read_events(admin)
    assert len(events) == len({event.window_id for event in events})
    assert worker.health.held == []


async def test_a_provider_that_refuses_the_client_is_named(
    secured: SecuredKafka, tmp_path: Path
) -> None:
    secret = tmp_path / "secret"
    secret.write_text("wrong")
    async with provider(secured.issuer, lasts_s=60) as (url, _):
        settings = Settings.load(with_tokens(secured.connection(), url, secret), None)
        with pytest.raises(KafkaError, match=f"{url} gives no token to worker.*oauth_client_id"):
            await list_topics(settings)


async def test_a_password_and_a_certificate_are_read_again_when_their_files_have_changed(
    secured: SecuredKafka, tmp_path: Path
) -> None:
    """
    password     wrong | right
    certificate  of a stranger | of the authority that the broker trusts, in the same context
    """
    password, certificate = tmp_path / "password", tmp_path / "client.pem"
    password.write_text("wrong")
    make_certificates(tmp_path / "stranger")
    certificate.write_bytes((tmp_path / "stranger" / "client.pem").read_bytes())
    settings = secured.settings(
        sasl_password=None, sasl_password_file=password, ssl_certfile=certificate
    )
    context = client_options(settings)["ssl_context"]
    with pytest.raises(KafkaError, match="check ssl_certfile"):
        await list_topics(settings, patience_s=3)
    certificate.write_bytes((secured.kafka.folder / "client.pem").read_bytes())
    with pytest.raises(KafkaError, match="check sasl_username and sasl_password"):
        await list_topics(settings)
    password.write_text(PASSWORDS[ADMIN])
    async with connect(
        lambda: AIOKafkaAdminClient(**client_options(settings) | {"ssl_context": context}),
        patience_s=60,
    ) as admin:
        assert isinstance(await admin.list_topics(), list)


async def test_each_tool_works_with_the_permissions_of_its_role(
    secured: SecuredKafka, names: dict[str, Any]
) -> None:
    await run_to_end(secured.settings(**names))
    tool = secured.settings("tool", **names)
    with secured.grant("tool", needed("consumer", tool)):
        assert len(await read_events(tool)) in WINDOWS_OF_20_S
    with secured.grant("tool", needed("dlq", tool)):
        assert len(await read_topic(tool, tool.dlq_topic)) == 1
    with secured.grant("tool", needed("dlq-replay", tool)):
        assert await put_back(tool, Selection()) == 1
    with secured.grant("tool", needed("device", tool)):
        await topics.ensure_readings(tool, 60)
        await publish(tool, ten_seconds("second"))
    with secured.grant("tool", needed("topics", tool)):
        assert await topics.ensure(tool, 60) == []
        assert all(found.severity != "error" for found in await topics.check(tool, 60))


async def test_streamer_grants_what_a_worker_needs_if_its_user_may(
    secured: SecuredKafka, names: dict[str, Any]
) -> None:
    admin, worker = secured.settings(**names), secured.settings("worker", **names)
    with pytest.raises(KafkaError, match="needs Alter on the cluster"):
        await grant(worker, needed("worker", worker), "User:worker", 60)
    await grant(admin, needed("worker", admin), "User:worker", 60)
    await run_to_end(worker.model_copy(update={"create_topics": False}))
    assert len(await read_events(worker)) in WINDOWS_OF_20_S


async def test_a_gateway_works_with_the_permissions_of_its_role(
    secured: SecuredKafka, names: dict[str, Any]
) -> None:
    settings = GatewaySettings.load(
        secured.connection("tool") | names | {"create_topics": False}, None
    )
    admin = secured.settings(**names)
    before = len(await read_topic(admin, settings.readings_topic))
    await topics.ensure_labels(admin, 60)
    reading = ten_seconds("second")[0]
    label = ActivityLabel(device_id="second", start=1, end=2, activity="walking", by="anna")
    with secured.grant("tool", needed("gateway", settings)):
        async with ReadingsWriter(settings, partial(prepare_topic, settings)) as writer:
            await asyncio.wait_for(writer.wait_connected(), 60)
            await writer.write("second", reading.value or b"")
        labels = LabelsWriter(settings)
        await labels.write(label)
        await labels.close()
        assert len(await read_events(settings)) in WINDOWS_OF_10_S
        async with topics.admin_client(settings, 60) as client:
            assert await client.list_consumer_group_offsets(settings.group_id)
    assert len(await read_topic(admin, settings.readings_topic)) == before + 1
    with secured.grant("tool", needed("feedback", settings)):
        await publish_label(settings, label)
    with secured.grant("tool", needed("model-update", settings)):
        assert await read_labels(settings) == [label, label]


# permission to write   |-- given --| withdrawn
# gateway               |-- writes -| answers that it is busy, and ends with the reason
async def test_a_gateway_that_may_not_write_any_more_ends_and_names_the_permission(
    secured: SecuredKafka, names: dict[str, Any]
) -> None:
    settings = GatewaySettings.load(
        secured.connection("tool") | names | {"create_topics": False}, None
    )
    value = ten_seconds("second")[0].value or b""
    permissions = needed("gateway", settings)
    [write] = [each for each in permissions if each == needed("device", settings)[0]]
    with secured.grant("tool", [each for each in permissions if each != write]):
        async with ReadingsWriter(settings, partial(prepare_topic, settings)) as writer:
            with secured.grant("tool", [write]):
                await asyncio.wait_for(writer.wait_connected(), 60)
                await writer.write("second", value)

            async def write_on() -> None:
                while True:
                    with suppress(Busy):
                        await writer.write("second", value)

            writing = asyncio.create_task(write_on())
            try:
                with pytest.raises(KafkaError, match=f"needs Write on {settings.readings_topic}"):
                    await asyncio.wait_for(writer.run_until_failure(), 60)
            finally:
                writing.cancel()
