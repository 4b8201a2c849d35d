"""The clients in docs/gateway.md work as they are printed."""

import asyncio
import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.support.gateway import RunningGateway, new_device, reading

DOCUMENT = Path(__file__).parents[2] / "docs" / "gateway.md"


def printed(language: str) -> str:
    """Return the first block of code in a language."""
    found = re.search(rf"```{language}\n(.*?)```", DOCUMENT.read_text(encoding="utf-8"), re.DOTALL)
    assert found is not None
    return found[1]


async def test_the_client_in_python_sends_a_reading(gateway: RunningGateway) -> None:
    client: dict[str, Any] = {}
    exec(printed("python"), client)
    device, url = new_device(), f"http://127.0.0.1:{gateway.port}"
    good = json.loads(reading(device))
    answer = await asyncio.to_thread(client["send"], url, "token", good)
    with answer:
        assert json.loads(answer.read()) == {"accepted": 1}
    assert len(await gateway.records_of(device)) == 1
    with pytest.raises(ValueError, match="samples of acc"):
        await asyncio.to_thread(client["send"], url, "token", good | {"acc": [[0, 0, 0]]})


async def test_the_client_in_javascript_sends_a_reading(
    gateway: RunningGateway, tmp_path: Path
) -> None:
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is not installed")
    device, url = new_device(), f"http://127.0.0.1:{gateway.port}"
    good = reading(device).decode()
    script = tmp_path / "client.mjs"
    script.write_text(
        printed("javascript")
        + f"console.log(JSON.stringify(await send('{url}', 'token', {good})));\n"
        + f"try {{ await send('{url}', 'token', {{device_id: 'x'}}) }}"
        + "catch (e) { console.log(e.message) }"
    )
    process = await asyncio.create_subprocess_exec(
        node, str(script), stdout=asyncio.subprocess.PIPE
    )
    said = (await process.communicate())[0].decode().splitlines()
    assert said[0] == '{"accepted":1}'
    assert json.loads(said[1])["readings"][0]["reason"] == "schema"
    assert len(await gateway.records_of(device)) == 1
