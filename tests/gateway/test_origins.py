"""Pages of other hosts may use the gateway only if the settings name them."""

from typing import Any

from tests.gateway.conftest import MakeGatewaySettings
from tests.support.gateway import RunningGateway, new_device, reading, running_gateway

APP = "https://app.example.org"


async def ask(
    gateway: RunningGateway, method: str, path: str, origin: str, **options: Any
) -> tuple[int, dict[str, str]]:
    async with gateway.session.request(
        method, path, headers={"Origin": origin}, **options
    ) as answer:
        return answer.status, dict(answer.headers)


async def test_pages_of_other_hosts_are_refused_and_those_of_the_gateway_are_not(
    gateway: RunningGateway,
) -> None:
    device = new_device()
    own = f"http://127.0.0.1:{gateway.port}"
    path, body = f"/readings/{device}", reading(device)
    status, headers = await ask(gateway, "POST", path, APP, data=body)
    assert (status, "Access-Control-Allow-Origin" in headers) == (403, False)
    assert (await ask(gateway, "OPTIONS", path, APP))[0] == 403
    assert (await ask(gateway, "GET", f"/ws/{device}", APP))[0] == 403
    assert (await ask(gateway, "POST", path, "null", data=body))[0] == 403
    assert await gateway.records_of(device) == []
    assert (await ask(gateway, "POST", path, own, data=body))[0] == 200


async def test_pages_that_the_settings_name_may_use_the_gateway(
    make_gateway_settings: MakeGatewaySettings,
) -> None:
    device = new_device()
    settings = make_gateway_settings(gateway_cors_origins=f"https://other.example, {APP}/")
    async with running_gateway(settings) as gateway:
        status, headers = await ask(gateway, "OPTIONS", f"/readings/{device}", APP)
        assert status == 204
        assert headers["Access-Control-Allow-Origin"] == APP
        assert "Authorization" in headers["Access-Control-Allow-Headers"]
        status, headers = await ask(
            gateway, "POST", f"/readings/{device}", APP, data=reading(device)
        )
        assert (status, headers["Access-Control-Allow-Origin"]) == (200, APP)
        status, headers = await ask(gateway, "POST", "/readings", APP, data=b"{")
        assert (status, headers["Access-Control-Allow-Origin"]) == (400, APP)
        assert (await ask(gateway, "POST", "/readings", "https://evil.example", data=b""))[0] == 403
