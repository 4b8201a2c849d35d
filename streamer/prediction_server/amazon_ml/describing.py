"""Answers `Describe...`: filters, order and pages of the entities of a kind."""

import base64
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from streamer.prediction_server.amazon_ml.protocol import invalid_input
from streamer.prediction_server.amazon_ml.store import Entity, EntityStore, Kind

MEMBERS: Final[Mapping[str, str]] = {
    "IAMUser": "CreatedByIamUser",
    "DataURI": "InputDataLocationS3",
    "TrainingDataURI": "InputDataLocationS3",
    "RealtimeEndpointStatus": "EndpointInfo.EndpointStatus",
}
"""Member of the document for each variable to filter by that has another name."""
SOURCES: Final[Mapping[Kind, str]] = {
    "Evaluation": "EvaluationDataSourceId",
    "BatchPrediction": "BatchPredictionDataSourceId",
}
"""The member that the variable `DataSourceId` means."""
OPERATORS: Final[Mapping[str, str]] = {
    "EQ": "=", "GT": ">", "LT": "<", "GE": ">=", "LE": "<=", "NE": "!="
}  # fmt: skip
TIMES: Final = {"CreatedAt", "LastUpdatedAt"}
MOST: Final = 100


async def describe(
    store: EntityStore, kind: Kind, question: dict[str, Any]
) -> tuple[list[Entity], str | None]:
    """Return a page of the entities that match a question, and the token of the next page.

    Deleted entities are found only by a filter of their status.

    Raises:
        AmazonMLError: the filter or the token is not valid.
    """
    variable = question.get("FilterVariable")
    given = [name for name in (*OPERATORS, "Prefix") if name in question]
    if given and not variable:
        raise invalid_input(f"{given[0]} needs a FilterVariable")
    sort_by = _column(kind, variable) if variable else "number"
    conditions = ["kind = ?"]
    values: list[Any] = [kind]
    if variable != "Status":
        conditions.append("json_extract(document, '$.Status') != 'DELETED'")
    for name in given:
        if name == "Prefix":
            conditions.append(f"substr({sort_by}, 1, ?) = ?")
            values += [len(question[name]), question[name]]
        else:
            conditions.append(f"{sort_by} {OPERATORS[name]} ?")
            values.append(_value(str(variable), question[name]))
    descending = question.get("SortOrder", "asc") == "dsc"
    if token := question.get("NextToken"):
        conditions.append(f"({sort_by}, number) {'<' if descending else '>'} (?, ?)")
        values += _decode_token(token)
    limit = question.get("Limit", MOST)
    page = await store.select_page(" AND ".join(conditions), values, sort_by, descending, limit + 1)
    last = page[limit - 1] if len(page) > limit else None
    following = _encode_token(last[1], last[2]) if last else None
    return [entity for entity, _, _ in page[:limit]], following


def _column(kind: Kind, variable: str) -> str:
    if variable == "Algorithm":
        return "'sgd'"
    member = SOURCES[kind] if variable == "DataSourceId" else MEMBERS.get(variable, variable)
    # The name is one of the service model's; a missing member sorts as an empty text.
    return f"ifnull(json_extract(document, '$.{member}'), '')"


def _value(variable: str, text: str) -> str | float:
    if variable not in TIMES:
        return text
    try:
        return float(text)
    except ValueError:
        pass
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise invalid_input(f"{variable} is compared with a time, not {text!r}") from None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _encode_token(value: Any, number: int) -> str:
    return base64.urlsafe_b64encode(msgspec.json.encode([value, number])).decode()


def _decode_token(token: str) -> list[Any]:
    try:
        value, number = msgspec.json.decode(base64.urlsafe_b64decode(token))
    except (ValueError, TypeError, msgspec.DecodeError):
        raise invalid_input("the NextToken is not one that this service has given") from None
    return [value, int(number)]
