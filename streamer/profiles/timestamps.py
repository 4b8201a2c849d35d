"""Times in ISO 8601 as microseconds since 1970."""

import re
from datetime import UTC, datetime, timedelta

_ZONE = re.compile(r"\s+([+-]\d\d:?\d\d|Z)$")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def parse_iso8601(text: str) -> float:
    """Return microseconds since 1970; a time without a zone is UTC.

    Raises:
        ValueError: the text is not such a time.
    """
    moment = datetime.fromisoformat(_ZONE.sub(r"\1", text.strip()))
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return float((moment - _EPOCH) // timedelta(microseconds=1))
