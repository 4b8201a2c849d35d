"""Chooses the decoder of the records of a fetch, by the format of the readings."""

from collections.abc import Callable

from streamer.contracts.decode import decode
from streamer.contracts.readings import Decoded
from streamer.contracts.records import OneRecord, Records
from streamer.profiles.profile import CONTRACT, load_record_layout
from streamer.profiles.record_layout import NEED_REGISTRY

Decoder = Callable[[Records, int], Decoded]
"""Decodes the records of a fetch; the second argument is as in `streamer.contracts.decode`."""


def make_decoder(name: str, registry: str | None = None, login: str | None = None) -> Decoder:
    """Return the decoder of a format.

    Args:
        name: `CONTRACT`, the name of a profile in the package, or the path of one.
        registry: URL of the schema registry, for Avro and Protobuf.
        login: `user:password` of the registry.

    Raises:
        SettingsError: there is no such profile, or it does not describe records.
        InstallationError: it needs the extra `streamer[registry]`.
    """
    if name == CONTRACT:
        return decode
    # Some twenty modules that most workers do not need.
    from streamer.profiles.profile_decoder import ProfileDecoder  # noqa: PLC0415

    layout = load_record_layout(name)
    if registry is None or layout.encoding not in NEED_REGISTRY:
        return ProfileDecoder(layout).decode
    from streamer.profiles.framed import FramedDecoder  # noqa: PLC0415 - an optional extra

    framed = FramedDecoder(layout.encoding, registry, login)
    return ProfileDecoder(layout, framed.decode, framed.find_schema).decode


def load_readers(name: str) -> None:
    """Load the compiled readers of a format, or compile them: no registry is asked.

    Raises:
        SettingsError: there is no such profile, or it does not describe records.
    """
    from streamer.profiles.profile_decoder import ProfileDecoder  # noqa: PLC0415

    decoder = ProfileDecoder(load_record_layout(name), lambda _: None, lambda _: None)
    decoder.decode(Records.of([OneRecord(b"device", b"{}", [], 0, 0)]), 0)
