"""Tokens: what their file holds, what each is good for, and when it stops being good."""

import os
from pathlib import Path

import pytest
import structlog
from click.testing import CliRunner

from streamer.cli import main
from streamer.errors import SettingsError
from streamer.gateway.access import EVERYONE, Access, Forbidden, Unauthorised
from streamer.gateway.token_file import Grant, make_token
from streamer.settings import GatewaySettings
from tests.gateway.conftest import MakeGatewaySettings
from tests.support.gateway import new_device, reading, running_gateway


def write_tokens(path: Path, *grants: Grant) -> list[str]:
    """Write a file of tokens, and return them."""
    made = [make_token(grant) for grant in grants]
    path.write_text("# tokens\n\n" + "".join(f"{line}\n" for _, line in made))
    return [token for token, _ in made]


PHONE = Grant("phone 17", device_id="phone/17 ü")
FLEET = Grant("hospital", prefix="ward-3/")
ALL = Grant("backend")


def test_a_token_is_good_for_its_device_or_fleet_only(tmp_path: Path) -> None:
    phone, fleet, everything = write_tokens(tmp_path / "tokens", PHONE, FLEET, ALL)
    access = Access(tmp_path / "tokens")
    assert access.check(phone, "phone/17 ü") == PHONE
    assert access.check(fleet, "ward-3/bed-1") == FLEET
    assert access.check(everything, "any") == ALL
    for token, device in ((phone, "phone/17"), (fleet, "ward-30"), (fleet, "")):
        with pytest.raises(Forbidden, match="not good for the device"):
            access.check(token, device)
    for wrong in ("", phone[:-1], "st_x", "\ud800"):
        with pytest.raises(Unauthorised, match="not known"):
            access.check(wrong, None)
    with pytest.raises(Unauthorised, match="send a token"):
        access.check(None, None)
    assert (ALL.is_everything, FLEET.is_everything, PHONE.is_everything) == (True, False, False)


def test_without_a_file_of_tokens_everyone_is_let_in() -> None:
    access = Access(None)
    assert access.check(None, "any") is EVERYONE
    assert access.is_valid(None, EVERYONE)


def test_a_directory_holds_a_token_in_each_file_as_kubernetes_mounts_it(tmp_path: Path) -> None:
    real = tmp_path / "..2026"
    real.mkdir()
    [phone] = write_tokens(real / "phone", PHONE)
    (tmp_path / "phone").symlink_to(real / "phone")
    assert Access(tmp_path).check(phone, None) == PHONE


def test_tokens_are_read_again_when_their_file_changes(tmp_path: Path) -> None:
    path = tmp_path / "tokens"
    [old] = write_tokens(path, PHONE)
    access = Access(path)
    [new] = write_tokens(path, ALL)
    os.utime(path, ns=(1, 1))
    access.reload()
    assert access.check(new, None) == ALL
    assert not access.is_valid(old, PHONE)
    with structlog.testing.capture_logs() as lines:
        path.write_text("not a token\n")
        access.reload()
    assert access.check(new, None) == ALL
    assert "kept the tokens as they were" in lines[0]["event"]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("phone device:phone", "there are 2 fields, not 3"),
        ("phone device:phone st_secret", "is it a token?"),
        (f"phone all {'0' * 64}", "neither device:ID nor fleet:PREFIX"),
        (f"phone device: {'0' * 64}", "neither device:ID nor fleet:PREFIX"),
        (f"phone fleet:a {'0' * 64}", "neither device:ID nor fleet:PREFIX"),
    ],
)
def test_a_line_that_is_no_token_is_named(tmp_path: Path, line: str, words: str) -> None:
    (tmp_path / "tokens").write_text(f"\n{line}\n")
    with pytest.raises(SettingsError, match=words) as caught:
        Access(tmp_path / "tokens")
    assert "line 2" in str(caught.value)


def test_a_file_of_tokens_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"cannot read .*nothing"):
        Access(tmp_path / "nothing")


def test_the_command_makes_a_token_and_its_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Making the first token must be possible where the gateway itself would not start.
    monkeypatch.setenv("STREAMER_GATEWAY_HOST", "0.0.0.0")
    made = CliRunner().invoke(main, ["gateway", "token", "--device", "phone 17"])
    assert made.exit_code == 0, made.output
    (tmp_path / "tokens").write_text(made.stdout)
    token = made.stderr.removeprefix("token: ").strip()
    assert token not in made.stdout
    assert Access(tmp_path / "tokens").check(token, "phone 17").who == "phone 17"
    fleet = CliRunner().invoke(main, ["gateway", "token", "--fleet", ""])
    assert " fleet:* " in fleet.stdout
    neither = CliRunner().invoke(main, ["gateway", "token"])
    assert neither.exit_code == 1
    assert "give either --device ID or --fleet PREFIX" in neither.output


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.7", "gateway.example.org"])
def test_off_loopback_the_gateway_needs_tokens_and_tls(host: str) -> None:
    with pytest.raises(SettingsError, match="needs tokens: make one with"):
        GatewaySettings.load({"gateway_host": host})
    with pytest.raises(SettingsError, match="needs TLS: name a certificate"):
        GatewaySettings.load({"gateway_host": host, "gateway_tokens": "tokens"})
    safe = {"gateway_host": host, "gateway_tokens": "tokens"}
    GatewaySettings.load({**safe, "gateway_certificate": "cert.pem"})
    GatewaySettings.load({**safe, "gateway_plain_http": True})


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "::1", "localhost"])
def test_on_loopback_the_gateway_needs_neither(host: str) -> None:
    assert GatewaySettings.load({"gateway_host": host}).gateway_tokens is None


async def test_a_device_writes_as_itself_only_and_is_told_why(
    make_gateway_settings: MakeGatewaySettings, tmp_path: Path
) -> None:
    device, other = new_device(), new_device()
    token, everything = write_tokens(
        tmp_path / "tokens", Grant("phone", device_id=device), Grant("backend")
    )
    own, any_device = (
        {"Authorization": f"Bearer {token}"},
        {"Authorization": f"bearer {everything}"},
    )
    async with running_gateway(
        make_gateway_settings(gateway_tokens=tmp_path / "tokens")
    ) as gateway:
        assert (await gateway.post(f"/readings/{device}", reading(device), **own))[0] == 200
        assert (await gateway.post("/readings", reading(device), **own))[0] == 200
        assert (await gateway.post("/readings", reading(other), **any_device))[0] == 200
        status, answer = await gateway.post(f"/readings/{other}", reading(other), **own)
        assert (status, answer["error"]) == (403, f"the token is not good for the device {other!r}")
        assert (await gateway.post("/readings", reading(other), **own))[0] == 400
        assert (await gateway.post("/readings", reading(other)))[0] == 401
        wrong = {"Authorization": "Bearer st_wrong"}
        assert (await gateway.post("/readings", reading(other), **wrong))[0] == 401
        async with gateway.session.get("/metrics", headers=own) as answer_:
            assert answer_.status == 403
        async with gateway.session.get("/metrics", headers=any_device) as answer_:
            assert answer_.status == 200
        async with gateway.session.get("/readyz") as answer_:
            assert await answer_.json() == {"ready": True, "reason": None}
        async with gateway.session.ws_connect(
            f"/ws/{device}", protocols=("streamer", f"bearer.{token}")
        ) as socket:
            assert socket.protocol == "streamer"
            await socket.send_str(reading(device).decode())
            assert await socket.receive_json() == {"ack": 1}
            # A token that is withdrawn ends what it has opened.
            write_tokens(tmp_path / "tokens", Grant("backend"))
            gateway.access.reload()
            await socket.send_str(reading(device).decode())
            message = await socket.receive()
            assert (message.data, message.extra) == (1008, "the token was withdrawn")
        assert {record.key for record in await gateway.records()} == {
            device.encode(),
            other.encode(),
        }
