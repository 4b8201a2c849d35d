"""Ground truth over HTTP: who may say what, and that Kafka has it."""

import json
import time
from pathlib import Path
from typing import Any

import pytest

from streamer.gateway.token_file import Grant, make_token
from streamer.kafka.ground_truth import read_labels
from tests.gateway.conftest import MakeGatewaySettings
from tests.support.gateway import RunningGateway, new_device, running_gateway


def body(**changes: Any) -> str:
    now_ms = time.time_ns() // 1_000_000
    label = {"start": now_ms - 10_000, "end": now_ms, "activity": "walking", "by": "anna"}
    return json.dumps(label | changes)


async def test_a_label_is_acknowledged_when_kafka_has_it(gateway: RunningGateway) -> None:
    device = f"{new_device()}/with slash"
    sent = body()
    answer = await gateway.post(f"/labels/{device.replace('/', '%2F')}", sent)
    assert answer == (200, {"accepted": 1})
    labels = [each for each in await read_labels(gateway.settings) if each.device_id == device]
    assert [(each.start, each.activity, each.by) for each in labels] == [
        (json.loads(sent)["start"], "walking", "anna")
    ]


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"activity": "wlking"}, "is walking meant?"),
        ({"end": 0}, "not after its start"),
        ({"end": 4102444800000, "start": 4102444790000}, "in the future"),
        ({"more": 1}, "unknown field `more`"),
    ],
)
async def test_a_label_that_cannot_be_true_is_refused_with_the_reason(
    gateway: RunningGateway, changes: dict[str, Any], complaint: str
) -> None:
    status, answer = await gateway.post(f"/labels/{new_device()}", body(**changes))
    assert (status, complaint in answer["error"]) == (400, True), answer


@pytest.mark.parametrize(
    ("sent", "complaint"),
    [("{}", "missing required field `start`"), ("walking", "the body is not a label")],
)
async def test_a_body_that_is_no_label_is_refused_with_the_reason(
    gateway: RunningGateway, sent: str, complaint: str
) -> None:
    status, answer = await gateway.post(f"/labels/{new_device()}", sent)
    assert (status, complaint in answer["error"]) == (400, True), answer


async def test_a_token_says_what_its_own_device_did_and_no_other(
    make_gateway_settings: MakeGatewaySettings, tmp_path: Path
) -> None:
    token, line = make_token(Grant("mine", device_id="mine"))
    tokens = tmp_path / "tokens"
    tokens.write_text(f"{line}\n")
    bearer = {"Authorization": f"Bearer {token}"}
    async with running_gateway(make_gateway_settings(gateway_tokens=tokens)) as gateway:
        assert (await gateway.post("/labels/mine", body()))[0] == 401
        assert (await gateway.post("/labels/other", body(), **bearer))[0] == 403
        assert await gateway.post("/labels/mine", body(), **bearer) == (200, {"accepted": 1})
        assert [each.device_id for each in await read_labels(gateway.settings)] == ["mine"]
