"""TLS, and certificates that are renewed while the gateway runs."""

import shutil
import ssl
from pathlib import Path

import aiohttp
import pytest
import structlog

from streamer.errors import SettingsError
from streamer.tls import server_context
from tests.gateway.conftest import MakeGatewaySettings
from tests.support.certificates import make_certificate, trusting
from tests.support.gateway import reading, running_gateway


async def test_readings_come_over_tls_and_a_renewed_certificate_is_used(
    make_gateway_settings: MakeGatewaySettings, tmp_path: Path
) -> None:
    chain, key = make_certificate(tmp_path, "first")
    new_chain, new_key = make_certificate(tmp_path, "second")
    shutil.copy(chain, tmp_path / "old.pem")
    old = trusting(chain)
    settings = make_gateway_settings(gateway_certificate=chain, gateway_private_key=key)
    async with (
        running_gateway(settings) as gateway,
        aiohttp.ClientSession(f"https://127.0.0.1:{gateway.port}") as session,
    ):

        async def post(trusted: ssl.SSLContext) -> int:
            async with session.post("/readings", data=reading(), ssl=trusted) as answer:
                return answer.status

        assert await post(old) == 200
        shown = gateway.metrics.registry.get_sample_value(
            "streamer_certificate_expiry_seconds", {"file": str(chain)}
        )
        assert shown is not None
        assert 0 < shown < 3 * 86400
        async with session.ws_connect("/ws/phone-17", ssl=old) as socket:
            await socket.send_str(reading("phone-17").decode())
            assert await socket.receive_json() == {"ack": 1}
            shutil.copy(new_chain, chain)
            shutil.copy(new_key, key)
            await socket.send_str(reading("phone-17").decode())
            assert await socket.receive_json() == {"ack": 2}
        # Connections that are made from now on get the new one.
        assert await post(trusting(new_chain)) == 200
        with pytest.raises(aiohttp.ClientConnectorCertificateError):
            await post(trusting(tmp_path / "old.pem"))


async def test_files_that_cannot_be_used_keep_the_certificate_as_it_was(
    make_gateway_settings: MakeGatewaySettings, tmp_path: Path
) -> None:
    chain, key = make_certificate(tmp_path, "first")
    settings = make_gateway_settings(gateway_certificate=chain, gateway_private_key=key)
    async with (
        running_gateway(settings) as gateway,
        aiohttp.ClientSession(
            f"https://127.0.0.1:{gateway.port}", connector=aiohttp.TCPConnector(force_close=True)
        ) as session,
    ):
        key.write_text("half a key")
        with structlog.testing.capture_logs() as lines:
            for _ in range(2):  # it says so once
                async with session.post("/readings", data=reading(), ssl=trusting(chain)) as answer:
                    assert answer.status == 200
    [line] = [line for line in lines if "files" in line]
    assert "the old certificate stays in use" in line["event"]
    assert line["files"] == [str(chain), str(key)]


def test_a_certificate_that_cannot_be_used_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "cert.pem").write_text("nothing")
    for file in (tmp_path / "cert.pem", tmp_path / "missing.pem"):
        with pytest.raises(SettingsError, match="gateway_certificate: cannot use"):
            server_context(file, None, "gateway_certificate")
