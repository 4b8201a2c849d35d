"""Runs broker, worker and gateway for a phone in the same network, and shows how it gets there."""

import asyncio
import io
import socket
import ssl
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Final
from urllib.parse import urlencode

from aiohttp import ClientError, ClientSession, TCPConnector
from rich.console import Console
from rich.text import Text

from streamer.errors import InstallationError
from streamer.gateway.token_file import Grant, make_token
from streamer.kafka import topics
from streamer.localkafka.broker import LocalKafka
from streamer.settings import GatewaySettings
from streamer.tools.programs import Program, run_program, watch_programs

_POLL_S: Final = 0.3
_FAR_AWAY: Final = ("192.0.2.1", 9)
"""An address for documentation, outside of every local network."""

WHAT_COMES = """\
1. Scan the code with the phone, which must be in the same network as this machine.
2. The browser warns that the connection is not private, because this certificate was made for this
   run. Chrome: Advanced, then Proceed. Safari: Show Details, then visit this website.
3. Tap Start. An iPhone asks for access to motion and orientation: allow it.
4. Put the phone into a trouser pocket and walk. The first label comes after about four seconds.
"""


def show_phone_demo(settings: GatewaySettings, devices: int, console: Console) -> None:
    """Run the demo until Ctrl-C, and end everything it has started.

    Args:
        settings: ports of the worker and the gateway; the demo chooses the brokers and the token.
        devices: number of simulated people beside the phone.
        console: shows the address of the page, its QR code and the table of devices.

    Raises:
        InstallationError: it needs the extra `streamer[phone]`.
        StreamerError: a part of the demo has ended unexpectedly.
    """
    host = find_own_address()
    with tempfile.TemporaryDirectory(prefix="streamer-demo-") as scratch, ExitStack() as stack:
        folder = Path(scratch)
        certificate = folder / "certificate.pem"
        authority = make_certificate(certificate, ["localhost", "127.0.0.1", host])
        token, line = make_token(Grant("demo"))
        tokens = folder / "tokens"
        _write_secret(tokens, f"{line}\n".encode())

        console.print("Starting Apache Kafka ...")
        kafka = stack.enter_context(LocalKafka())
        settings = settings.model_copy(update={"bootstrap_servers": kafka.bootstrap_servers})
        asyncio.run(topics.ensure(settings))
        where = ["--bootstrap-servers", kafka.bootstrap_servers]
        port = settings.gateway_port
        worker = ["run", *where, "--http-port", str(settings.http_port)]
        gateway = ["gateway", *where, "--gateway-host", "0.0.0.0", "--gateway-port", str(port)]  # noqa: S104 - a phone must reach it; it has TLS and a token
        gateway += ["--gateway-tokens", str(tokens), "--gateway-certificate", str(certificate)]
        programs = [
            stack.enter_context(run_program("worker", worker, folder)),
            stack.enter_context(run_program("gateway", gateway, folder)),
        ]
        if devices:
            people = ["simulate", *where, "--devices", str(devices), "--batch", "10"]
            programs.append(stack.enter_context(run_program("devices", people, folder)))

        console.print("Starting the worker and the gateway ...")
        with suppress(KeyboardInterrupt):
            asyncio.run(_wait_until_ready(port, authority, programs))
            _describe(console, host, port, token, scratch)
            asyncio.run(watch_programs(settings, console, programs))
        console.print("Stopping ...")


def _describe(console: Console, host: str, port: int, token: str, scratch: str) -> None:
    page = f"https://{host}:{port}/phone#{urlencode({'token': token})}"
    # The colours are set, because a QR code must be dark on light in any terminal.
    console.print(Text(draw_qr_code(page), style="white on black"), soft_wrap=True)
    for text in (
        f"phone     {page}",
        f"devices   https://{host}:{port}/#{urlencode({'token': token})}",
        f"logs      {scratch}",
        "",
        WHAT_COMES,
        "Whoever has this address can publish readings until Ctrl-C, which ends everything.\n",
    ):
        console.print(text, highlight=False, soft_wrap=True)


async def _wait_until_ready(port: int, authority: Path, programs: Sequence[Program]) -> None:
    """Wait until the gateway can take readings.

    Raises:
        StreamerError: a program has ended.
    """
    trust = ssl.create_default_context(cafile=str(authority))
    async with ClientSession(connector=TCPConnector(ssl=trust)) as session:
        while True:
            for program in programs:
                program.check()
            with suppress(ClientError):
                async with session.get(f"https://localhost:{port}/readyz") as answer:
                    if answer.ok:
                        return
            await asyncio.sleep(_POLL_S)


def find_own_address() -> str:
    """Return the address by which this machine's network knows it; that of loopback without one."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            # Nothing is sent: the kernel only chooses a route.
            probe.connect(_FAR_AWAY)
        except OSError:
            return "127.0.0.1"
        address: str = probe.getsockname()[0]
        return address


def make_certificate(path: Path, names: Sequence[str]) -> Path:
    """Write a certificate for names and addresses, and its key, to a file.

    Returns:
        The file of the authority that has signed it and exists for nothing else.

    Raises:
        InstallationError: it needs the extra `streamer[phone]`.
    """
    try:
        import trustme  # noqa: PLC0415 - an optional extra
    except ImportError:
        raise _missing_extra() from None
    authority = trustme.CA()
    _write_secret(path, authority.issue_cert(*names).private_key_and_cert_chain_pem.bytes())
    authority_path = path.with_suffix(".authority.pem")
    authority.cert_pem.write_to_path(str(authority_path))
    return authority_path


def draw_qr_code(text: str) -> str:
    """Return a QR code as lines of half blocks; a light module is a block.

    Raises:
        InstallationError: it needs the extra `streamer[phone]`.
    """
    try:
        import segno  # noqa: PLC0415 - an optional extra
    except ImportError:
        raise _missing_extra() from None
    drawn = io.StringIO()
    segno.make_qr(text, error="l").terminal(out=drawn, border=2, compact=True)
    return drawn.getvalue().rstrip("\n")


def _missing_extra() -> InstallationError:
    return InstallationError(
        "streamer demo --phone needs trustme and segno; install them with "
        "`pip install 'streamer[phone]'`"
    )


def _write_secret(path: Path, content: bytes) -> None:
    """Write a file that only its owner can read."""
    path.touch(mode=0o600)
    path.write_bytes(content)
