"""Types of settings whose text must have a certain form."""

from typing import Annotated, Final

from pydantic import AfterValidator

from streamer.contracts.activities import check_activity_names, is_movement

_LARGEST_PORT: Final = 2**16 - 1


def _check_addresses(servers: str) -> str:
    for server in servers.split(","):
        if "://" in server:
            raise ValueError("should be `host:port`; the protocol is in security_protocol")
        host, _, port = server.strip().rpartition(":")
        if not (host and port.isdecimal() and 0 < int(port) <= _LARGEST_PORT):
            raise ValueError("should be `host:port`, comma-separated")
    return servers


def _check_variable(variable: str) -> str:
    try:
        if variable.format(1) != variable.format(2):
            return variable
    except (ValueError, LookupError):
        pass
    raise ValueError("should have one place for a number, such as `Var{:03d}`")


def _check_labels(labels: str) -> str:
    pairs = [pair.partition("=") for pair in labels.split(",")]
    if not all(label.strip() and name.strip() for label, _, name in pairs):
        raise ValueError("should be `label=activity,...`, such as `1=walking,7=standing>sitting`")
    check_activity_names([name.strip() for _, _, name in pairs])
    if len({label.strip() for label, _, _ in pairs}) < len(pairs):
        raise ValueError("should name each label once")
    return labels


def _check_activities(names: str) -> str:
    for name in check_activity_names([name.strip() for name in names.split(",")]):
        if is_movement(name):
            raise ValueError(f"{name!r} is a movement; labels name activities")
    return names


Addresses = Annotated[str, AfterValidator(_check_addresses)]
"""``host:port``, comma-separated."""

NumberedName = Annotated[str, AfterValidator(_check_variable)]
"""A name with one place for a number, such as ``Var{:03d}``."""

LabelNames = Annotated[str, AfterValidator(_check_labels)]
"""``label=activity``, comma-separated; each label once."""

ActivityNames = Annotated[str, AfterValidator(_check_activities)]
"""Names of activities, comma-separated; no movements."""
