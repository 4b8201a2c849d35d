"""`streamer demo --phone`, as somebody sees it who has a phone at hand."""

import re
import signal
import ssl
import urllib.error
import urllib.request
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import psutil
import pytest

from streamer.localkafka.broker import free_ports
from streamer.tools.phone_demo import draw_qr_code, find_own_address, make_certificate
from tests.support.processes import until
from tests.support.worker_process import Process

pytest.importorskip("trustme")
pytest.importorskip("segno")


def get(url: str, token: str | None = None) -> int:
    """Return the status of a page; its certificate is of an authority that nobody knows."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    request = urllib.request.Request(url)
    if token:
        request.add_header("Authorization", f"Bearer {token}")
    try:
        with urllib.request.urlopen(request, timeout=30, context=context) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


@pytest.mark.kafka
def test_the_demo_serves_the_page_to_who_has_the_token_and_ctrl_c_leaves_nothing_running(
    tmp_path: Path,
) -> None:
    [port] = map(str, free_ports(1))
    demo = Process(tmp_path / "log", "demo", "--phone", "--http-port", "0", "--gateway-port", port)
    try:
        until(lambda: "Ctrl-C" in demo.said or demo.process.poll() is not None)
        found = re.search(r"phone +(https://\S+)", demo.said)
        assert found, demo.said
        address = urlsplit(found[1])
        assert address.port == int(port)
        [token] = parse_qs(address.fragment)["token"]
        assert draw_qr_code(found[1]) in demo.said
        here = f"https://127.0.0.1:{port}"
        assert get(f"{here}{address.path}") == 200
        assert get(f"{here}/fleet") == 401
        assert get(f"{here}/fleet", token) == 200
        family = psutil.Process(demo.process.pid).children(recursive=True)
        assert len(family) >= 3  # Kafka, worker, gateway, and who guards them
        demo.process.send_signal(signal.SIGINT)
        demo.ends(0, 120)
        _, left = psutil.wait_procs(family, timeout=60)
        assert left == []
    finally:
        demo.process.kill()


def test_a_certificate_is_good_for_the_names_of_this_machine_and_its_key_is_private(
    tmp_path: Path,
) -> None:
    path = tmp_path / "certificate.pem"
    authority = make_certificate(path, ["localhost", "192.0.2.7"])
    assert path.stat().st_mode & 0o077 == 0
    ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).load_cert_chain(path)
    ssl.create_default_context(cafile=str(authority))


def test_a_qr_code_is_a_square_of_half_blocks() -> None:
    lines = draw_qr_code("https://192.0.2.7:8080/phone#token=st_1").splitlines()
    assert set("".join(lines)) <= set("█▀▄ ")
    assert {len(line) for line in lines} == {len(lines[0])}
    assert abs(len(lines[0]) - 2 * len(lines)) <= 1


def test_this_machine_has_an_address() -> None:
    assert re.fullmatch(r"\d+\.\d+\.\d+\.\d+", find_own_address())
