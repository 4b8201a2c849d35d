"""What the protocol of Amazon ML makes of the bodies of requests."""

import pytest

from streamer.prediction_server.amazon_ml.protocol import AmazonMLError, decode_question


@pytest.mark.parametrize("body", [b"", b"[]", b'{"MLModelId": "\xff"}', b'{"a":' * 100_000])
def test_a_body_of_any_bytes_is_an_error_of_the_protocol(body: bytes) -> None:
    with pytest.raises(AmazonMLError):
        decode_question(body)
