"""A worker starts beside Kubernetes Services whose names begin with `streamer`."""

import json
import subprocess
import sys

import pytest

from streamer.errors import SettingsError
from streamer.settings import Settings, origins
from streamer.settings.service_links import links_named_like

FIELDS = set(Settings.model_fields)


def link(name: str) -> dict[str, str]:
    """The variables that Kubernetes sets in every pod for a Service of this name."""
    return {
        f"{name}_SERVICE_HOST": "10.96.17.4",
        f"{name}_SERVICE_PORT": "9090",
        f"{name}_SERVICE_PORT_METRICS": "9090",
        f"{name}_PORT": "tcp://10.96.17.4:9090",
        f"{name}_PORT_9090_TCP": "tcp://10.96.17.4:9090",
        f"{name}_PORT_9090_TCP_PROTO": "tcp",
        f"{name}_PORT_9090_TCP_PORT": "9090",
        f"{name}_PORT_9090_TCP_ADDR": "10.96.17.4",
    }


@pytest.mark.parametrize(
    "service",
    ["STREAMER", "STREAMER_HTTP", "STREAMER_ENDPOINT", "STREAMER_MODEL_2", "STREAMER_LOG"],
)
@pytest.mark.parametrize("variable", link("X"))
def test_no_variable_of_a_service_breaks_the_start(
    service: str, variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(service + variable.removeprefix("X"), link("X")[variable])
    assert Settings.load() == Settings()


def test_a_setting_named_like_a_variable_of_a_service_keeps_its_other_value(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for variable, value in link("STREAMER_HTTP").items():
        monkeypatch.setenv(variable, value)
    assert Settings.load({"http_port": 7000}).http_port == 7000
    assert origins()["http_port"] == "default"
    assert links_named_like(FIELDS, "STREAMER_") == ["STREAMER_HTTP_PORT"]


def test_a_port_is_still_a_setting_and_a_misspelt_name_still_an_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("STREAMER_HTTP_PORT", "7001")
    assert Settings.load().http_port == 7001
    assert links_named_like(FIELDS, "STREAMER_") == []
    monkeypatch.setenv("STREAMER_HTP_PORT", "7001")
    with pytest.raises(SettingsError, match="did you mean STREAMER_HTTP_PORT"):
        Settings.load()


def test_the_worker_says_that_it_ignores_the_variable() -> None:
    script = (
        "from streamer.process import log\n"
        "from streamer.settings import Settings\n"
        "from streamer.process.worker import announce\n"
        "log.configure_format('json')\n"
        "announce(Settings())\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONPATH": ":".join(sys.path), **link("STREAMER_HTTP")},
    )
    [first, line] = [json.loads(each) for each in done.stderr.splitlines()]
    assert first["readings_topic"] == "sensor-readings"
    assert line["variable"] == "STREAMER_HTTP_PORT"
    assert "enableServiceLinks" in line["remedy"]
