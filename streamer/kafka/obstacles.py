"""Finds out why no broker answers at the addresses of the settings."""

import asyncio
import socket
import ssl
from collections.abc import Iterable
from typing import Final

ANSWER_S: Final = 3.0
"""How long an address may take to accept a connection."""

ALERT_S: Final = 1.0
"""How long a broker may take to refuse our certificate, which it does after the handshake."""


async def find_obstacle(addresses: Iterable[tuple[str, int]], tls: ssl.SSLContext | None) -> str:
    """Return what a connection to the first address ends with, and what to check.

    Args:
        addresses: host and port of each broker of the settings.
        tls: with which a connection is encrypted; None if it is not.
    """
    host, port = next(iter(addresses))
    address = f"{host}:{port}"
    try:
        async with asyncio.timeout(ANSWER_S):
            reader, writer = await asyncio.open_connection(host, port, ssl=tls)
    except socket.gaierror:
        return f"the name {host} cannot be resolved here; check --bootstrap-servers"
    except ssl.SSLCertVerificationError as error:
        problem = error.verify_message
        return f"the certificate of {address} is not accepted ({problem}); check ssl_cafile"
    except (ssl.SSLError, ConnectionResetError):
        return f"{address} does not accept TLS; check security_protocol"
    except (OSError, TimeoutError):
        return (
            f"nothing accepts connections at {address}; check --bootstrap-servers, or start a "
            "broker here with `streamer broker`"
        )
    try:
        async with asyncio.timeout(ALERT_S):
            await reader.read(1)
    except ssl.SSLError as error:
        return f"{address} does not accept our certificate ({error.reason}); check ssl_certfile"
    except (OSError, TimeoutError):
        pass
    finally:
        writer.transport.abort()
    return (
        f"{address} accepts connections and does not answer as a Kafka broker; check "
        "security_protocol and the login, or wait until it has started"
    )
