"""Types of settings whose text must have a certain form."""

import re
from typing import Annotated, Final

from pydantic import AfterValidator, Field

from streamer.contracts.activities import check_activity_names, is_movement

_LARGEST_PORT: Final = 2**16 - 1

_HOST: Final = re.compile(r"[^\s:;,/@\[\]]+|\[[0-9A-Fa-f:.%]+\]")
"""A name, an IPv4 address, or an IPv6 address in brackets."""

_KAFKA_NAME: Final = re.compile(r"[A-Za-z0-9._-]{1,249}")


def _is_address(text: str) -> bool:
    host, _, port = text.strip().rpartition(":")
    return bool(
        _HOST.fullmatch(host)
        and re.fullmatch("[0-9]{1,5}", port)
        and 0 < int(port) <= _LARGEST_PORT
    )


def _check_addresses(servers: str) -> str:
    if "://" in servers:
        raise ValueError("should be `host:port`; the protocol is in security_protocol")
    if not all(map(_is_address, servers.split(","))):
        raise ValueError("should be `host:port`, comma-separated")
    return servers


def _check_address(address: str) -> str:
    if "://" in address or not _is_address(address):
        raise ValueError("should be one `host:port`, without a protocol")
    return address


def _check_kafka_name(name: str) -> str:
    if not _KAFKA_NAME.fullmatch(name) or name in {".", ".."}:
        raise ValueError("should be 1 to 249 of the characters a-z, A-Z, 0-9, `.`, `_` and `-`")
    return name


def _check_url(url: str) -> str:
    if not re.fullmatch(r"https?://[^\s/]+.*", url):
        raise ValueError("should be a URL that begins with http:// or https://")
    return url


def _check_not_url(name: str) -> str:
    if "://" in name:
        raise ValueError("should be an id or a name; the address is in AWS_ENDPOINT_URL")
    return name


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

Address = Annotated[str, AfterValidator(_check_address)]
"""One ``host:port``."""

KafkaName = Annotated[str, AfterValidator(_check_kafka_name)]
"""A name that Kafka accepts for a topic or a static member."""

OptionalTopic = Annotated[str, AfterValidator(lambda name: name and _check_kafka_name(name))]
"""The name of a topic, or empty for none."""

Url = Annotated[str, AfterValidator(_check_url)]
"""A URL of HTTP."""

EndpointName = Annotated[str, Field(min_length=1), AfterValidator(_check_not_url)]
"""Id or name of an endpoint of AWS."""

NumberedName = Annotated[str, AfterValidator(_check_variable)]
"""A name with one place for a number, such as ``Var{:03d}``."""

LabelNames = Annotated[str, AfterValidator(_check_labels)]
"""``label=activity``, comma-separated; each label once."""

ActivityNames = Annotated[str, AfterValidator(_check_activities)]
"""Names of activities, comma-separated; no movements."""
