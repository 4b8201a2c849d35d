"""Recognizes environment variables that Kubernetes sets for a Service and that look like settings.

For a Service `streamer` every pod of its namespace has `STREAMER_SERVICE_HOST`, `STREAMER_PORT` and
others; for one named `streamer-http` it has `STREAMER_HTTP_PORT`, which is also a setting of ours.
"""

import os
import re
from typing import Final

_NAME: Final = re.compile(
    r"STREAMER(_\w+)?_(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)"
)
_PORT_NAME: Final = re.compile(r"STREAMER(_\w+)?_PORT")
_ADDRESS: Final = re.compile(r"(tcp|udp|sctp)://")


def is_service_link(variable: str, value: str) -> bool:
    """Return whether Kubernetes sets this variable for a Service named `streamer...`."""
    if _NAME.fullmatch(variable):
        return True
    return bool(_PORT_NAME.fullmatch(variable) and _ADDRESS.match(value))


def links_named_like(settings: set[str], prefix: str) -> list[str]:
    """Return the variables of Services that are named like settings. They are ignored."""
    return sorted(
        variable
        for variable, value in os.environ.items()
        if is_service_link(variable, value) and variable.removeprefix(prefix).lower() in settings
    )
