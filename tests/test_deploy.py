"""What is shipped to run streamer elsewhere agrees with the program."""

import asyncio
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from streamer import __version__
from streamer.cli import main
from streamer.contracts.events import ActivityEvent, decode_event
from streamer.contracts.readings import Format
from streamer.errors import SettingsError
from streamer.gateway_metrics import GatewayMetrics
from streamer.health import Health
from streamer.kafka import topics
from streamer.kafka.reader import open_reader
from streamer.kafka.topic_records import fetch_parts
from streamer.metrics import LARGE_DRIFT, Metrics
from streamer.process.http import WorkerPages, serve_pages
from streamer.process.worker_process import END_S, START_S
from streamer.settings import TOPIC_SETTINGS, Settings
from streamer.tools.plan import DEVICE_KB, WORKER_MB, make_plan
from tests.conftest import MakeSettings

ROOT = Path(__file__).parents[1]
DEPLOY = ROOT / "deploy"
KUBERNETES = DEPLOY / "kubernetes"
UNIT = DEPLOY / "systemd" / "streamer@.service"
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")
PATIENCE_S = 60.0
RUNBOOK = ["Find the cause", "What to do", "It is over when"]


def read_yaml(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


SERVICES: dict[str, dict[str, Any]] = read_yaml(ROOT / "docker-compose.yml")["services"]
OURS = [name for name, service in SERVICES.items() if "build" in service]
CATALOGUE = {entry.name: entry for entry in Metrics().catalogue + GatewayMetrics().catalogue}


def alert_expressions() -> Iterator[str]:
    for group in read_yaml(DEPLOY / "prometheus" / "alerts.yml")["groups"]:
        for rule in group["rules"]:
            yield rule["expr"]


def dashboard_expressions() -> Iterator[str]:
    for path in (DEPLOY / "grafana" / "dashboards").glob("*.json"):
        for panel in json.loads(path.read_text(encoding="utf-8"))["panels"]:
            for target in panel.get("targets", []):
                yield target["expr"]


def metrics_in(expression: str) -> set[str]:
    return set(re.findall(r"\bstreamer_\w+", expression))


def series_of(name: str) -> set[str]:
    if CATALOGUE[name].type == "histogram":
        return {f"{name}_bucket", f"{name}_sum", f"{name}_count"}
    return {name}


SERIES = {series: CATALOGUE[name] for name in CATALOGUE for series in series_of(name)}


def follows_the_compose_specification(path: Path) -> bool:
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec"]
    return subprocess.run([*command, str(path)], check=False).returncode == 0


def test_the_compose_file_follows_the_compose_specification(tmp_path: Path) -> None:
    composed = ROOT / "docker-compose.yml"
    assert follows_the_compose_specification(composed)
    misspelt = tmp_path / composed.name
    misspelt.write_text(composed.read_text(encoding="utf-8").replace("command:", "comand:"))
    assert not follows_the_compose_specification(misspelt)


def test_every_foreign_image_is_pinned_to_a_version() -> None:
    for name, service in SERVICES.items():
        if name not in OURS:
            assert re.search(r":v?\d+\.\d+\.\d+$", service["image"]), name


def test_everything_that_is_mounted_or_copied_is_there() -> None:
    sources = [
        mount.split(":")[0] for service in SERVICES.values() for mount in service.get("volumes", [])
    ]
    for line in re.findall(r"^COPY (?!--from)(.*) \S+$", DOCKERFILE, re.MULTILINE):
        sources += line.split()
    allowed = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    for source in sources:
        assert (ROOT / source).exists(), source
        assert source.startswith("./") or f"!{source}" in allowed


@pytest.mark.parametrize("service", OURS)
def test_commands_and_variables_of_our_services_are_accepted(
    service: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert 'ENTRYPOINT ["streamer"]' in DOCKERFILE
    context = main.make_context("streamer", [*SERVICES[service]["command"]])
    name, *arguments = SERVICES[service]["command"]
    command = main.get_command(context, name)
    assert command is not None
    command.make_context(name, arguments)

    for variable, value in SERVICES[service]["environment"].items():
        monkeypatch.setenv(variable, value)
    assert Settings.load().bootstrap_servers == "kafka:9092"


def _text(log: Path) -> str:
    return log.read_text(encoding="utf-8")


@asynccontextmanager
async def running(service: str, variables: Mapping[str, str], log: Path) -> AsyncIterator[None]:
    """A service of ours as a process, ended as Docker does; it must end well."""
    chosen = {**SERVICES[service]["environment"], **variables}
    clean = {name: value for name, value in os.environ.items() if not name.startswith("STREAMER_")}
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "streamer", *SERVICES[service]["command"]),
            env=clean | chosen,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
    try:
        yield
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
        code = await process.wait()
    assert code == 0, _text(log)


async def some_events(settings: Settings) -> list[ActivityEvent]:
    async with open_reader(settings, settings.events_topic, "earliest", PATIENCE_S) as consumer:
        while True:
            values = [
                value or b""
                async for _, records in fetch_parts(consumer, 500)
                for _, value, _ in records.contents()
            ]
            if values:
                return [decode_event(value) for value in values]


async def test_worker_and_devices_of_the_compose_file_give_events(
    make_settings: MakeSettings, tmp_path: Path
) -> None:
    settings = make_settings()
    names = ("bootstrap_servers", *TOPIC_SETTINGS, "group_id")
    variables = {f"STREAMER_{name.upper()}": getattr(settings, name) for name in names}
    await topics.ensure(settings, PATIENCE_S)
    async with (
        running("worker", variables | {"STREAMER_HTTP_PORT": "0"}, tmp_path / "worker.log"),
        running("devices", variables, tmp_path / "devices.log"),
    ):
        events = await asyncio.wait_for(some_events(settings), PATIENCE_S)
    assert {event.device_id for event in events} <= {f"phone-{i:03d}" for i in range(1, 21)}


@pytest.mark.parametrize("expression", [*alert_expressions(), *dashboard_expressions()])
def test_every_metric_and_label_in_a_query_exists(expression: str) -> None:
    names = metrics_in(expression)
    assert names <= set(SERIES) or "up{" in expression
    labels = {"instance", "worker"}
    for name in names:
        labels |= {*SERIES[name].labels, *(["le"] if name.endswith("_bucket") else [])}
    asked = {
        label.strip()
        for listed in re.findall(r"\b(?:by|on) \(([^)]*)\)", expression)
        for label in listed.split(",")
    }
    assert asked <= labels


def test_the_dashboard_has_panels_for_the_metrics_that_operators_need() -> None:
    shown = {SERIES[name].name for text in dashboard_expressions() for name in metrics_in(text)}
    assert shown >= {
        "streamer_samples_total",
        "streamer_windows_total",
        "streamer_events_total",
        "streamer_event_latency_seconds",
        "streamer_lag_records",
        "streamer_lag_seconds",
        "streamer_rejects_total",
        "streamer_recoveries_total",
        "streamer_stage_seconds",
        "streamer_position_resets_total",
        "streamer_records_lost_total",
    }


def test_the_dashboard_is_what_its_program_makes() -> None:
    program = DEPLOY / "grafana" / "dashboard.py"
    made = subprocess.run([sys.executable, program], capture_output=True, text=True, check=True)
    written = DEPLOY / "grafana" / "dashboards" / "streamer.json"
    assert written.read_text(encoding="utf-8") == made.stdout


def test_the_panels_of_the_dashboard_do_not_overlap_and_have_numbers_of_their_own() -> None:
    taken: dict[tuple[int, int], str] = {}
    written = DEPLOY / "grafana" / "dashboards" / "streamer.json"
    panels = json.loads(written.read_text(encoding="utf-8"))["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    for panel in panels:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        for x in range(place["x"], place["x"] + place["w"]):
            for y in range(place["y"], place["y"] + place["h"]):
                assert taken.setdefault((x, y), panel["title"]) == panel["title"]


def test_the_dashboard_asks_the_source_that_is_provisioned() -> None:
    provisioned = DEPLOY / "grafana" / "provisioning" / "datasources" / "prometheus.yml"
    [source] = read_yaml(provisioned)["datasources"]
    assert source["url"] == "http://prometheus:9090"
    for path in (DEPLOY / "grafana" / "dashboards").glob("*.json"):
        for panel in json.loads(path.read_text(encoding="utf-8"))["panels"]:
            if panel["type"] == "row":
                continue
            assert panel["datasource"] == {"type": source["type"], "uid": source["uid"]}


def test_prometheus_scrapes_the_worker_where_it_listens_and_reads_the_alerts() -> None:
    config = read_yaml(DEPLOY / "prometheus" / "prometheus.yml")
    [job] = config["scrape_configs"]
    [found] = job["dns_sd_configs"]
    [service] = found["names"]
    assert service in OURS
    assert SERVICES[service]["environment"]["STREAMER_HTTP_HOST"] == "0.0.0.0"
    assert found["port"] == Settings.model_fields["http_port"].default
    assert f"EXPOSE {found['port']}\n" in DOCKERFILE
    assert all((DEPLOY / "prometheus" / name).exists() for name in config["rule_files"])
    assert all(f'job="{job["job_name"]}"' in text for text in alert_expressions() if "up{" in text)


@pytest.mark.parametrize("what", [("config", "prometheus.yml"), ("rules", "alerts.yml")])
def test_promtool_finds_nothing_wrong(what: tuple[str, str]) -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not on the PATH")
    kind, name = what
    done = subprocess.run(
        [promtool, "check", kind, str(DEPLOY / "prometheus" / name)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_has_a_remedy_and_cases_in_which_it_fires_and_does_not() -> None:
    groups = read_yaml(DEPLOY / "prometheus" / "alerts.yml")["groups"]
    rules = {rule["alert"]: rule["annotations"] for group in groups for rule in group["rules"]}
    for name, annotations in rules.items():
        assert annotations.keys() == {"summary", "description"}, name
        words = re.sub(r"(?<!^)(?=[A-Z])", "-", name.removeprefix("Streamer")).lower()
        assert annotations["description"] == f"What to do: docs/runbooks/{words}.md"
        runbook = (ROOT / "docs" / "runbooks" / f"{words}.md").read_text(encoding="utf-8")
        assert runbook.startswith(f"# {name}\n")
        assert re.findall("^## (.+)$", runbook, re.MULTILINE) == RUNBOOK
    assert len(list((ROOT / "docs" / "runbooks").iterdir())) == len(rules)
    fires: dict[bool, set[str]] = {True: set(), False: set()}
    for test in read_yaml(ROOT / "tests" / "support" / "alerts_test.yml")["tests"]:
        for case in test["alert_rule_test"]:
            fires[bool(case.get("exp_alerts"))].add(case["alertname"])
    assert fires[True] == fires[False] == set(rules)


def test_alert_dashboard_and_worker_have_the_same_limit_for_drift() -> None:
    alerts = (DEPLOY / "prometheus" / "alerts.yml").read_text(encoding="utf-8")
    assert f'streamer_drift_psi{{of="confidence"}}) > {LARGE_DRIFT}\n' in alerts
    boards = DEPLOY.rglob("dashboards/*.json")
    assert any(f"{LARGE_DRIFT} is much" in path.read_text(encoding="utf-8") for path in boards)


def test_alerts_fire_for_faults_and_not_otherwise() -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not on the PATH")
    done = subprocess.run(
        [promtool, "test", "rules", str(ROOT / "tests" / "support" / "alerts_test.yml")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


async def healthy(port: int | str) -> bool:
    """What the image's health check says of a worker at this port."""
    [written] = re.findall(r"^HEALTHCHECK .*CMD (\[.*\])$", DOCKERFILE, re.MULTILINE)
    python, *arguments = json.loads(written)
    assert python == "python"
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *arguments,
        env=os.environ | {"STREAMER_HTTP_PORT": str(port)},
        stderr=subprocess.DEVNULL,
    )
    return await process.wait() == 0


async def test_the_health_check_of_the_image_tells_whether_a_worker_answers() -> None:
    settings = Settings.load({"http_port": 0})
    async with serve_pages(settings, WorkerPages(Metrics(), Health(lambda: 0.0))) as port:
        assert await healthy(port)
    assert not await healthy(port)


async def test_the_health_check_ignores_a_port_that_kubernetes_has_set_for_a_service() -> None:
    try:
        async with serve_pages(Settings.load({}), WorkerPages(Metrics(), Health(lambda: 0.0))):
            assert await healthy("tcp://10.96.17.4:9464")
    except SettingsError:
        pytest.skip("the default port is in use")


def manifests() -> list[dict[str, Any]]:
    return [
        manifest
        for path in sorted(KUBERNETES.glob("*.yaml"))
        if path.name != "kustomization.yaml"
        for manifest in yaml.safe_load_all(path.read_text(encoding="utf-8"))
    ]


def manifest_of(kind: str) -> dict[str, Any]:
    [found] = [manifest for manifest in manifests() if manifest["kind"] == kind]
    return found


@pytest.mark.parametrize("manifest", manifests(), ids=lambda manifest: manifest["kind"])
def test_each_manifest_of_kubernetes_has_the_schema_of_its_kind(manifest: dict[str, Any]) -> None:
    validator = pytest.importorskip("kubernetes_validate")
    validator.validate(manifest, validator.latest_version(), strict=True)


def test_the_kustomization_names_each_manifest_and_renders() -> None:
    kustomization = read_yaml(KUBERNETES / "kustomization.yaml")
    others = {path.name for path in KUBERNETES.glob("*.yaml")} - {"kustomization.yaml"}
    assert set(kustomization["resources"]) == others
    if not (kubectl := shutil.which("kubectl")):
        pytest.skip("kubectl renders the kustomization")
    rendered = subprocess.run(
        [kubectl, "kustomize", str(KUBERNETES)], capture_output=True, text=True, check=True
    )
    kinds = [manifest["kind"] for manifest in yaml.safe_load_all(rendered.stdout)]
    assert sorted(kinds) == sorted([*(each["kind"] for each in manifests()), "ConfigMap"])


def test_the_worker_of_kubernetes_has_settings_ports_and_folders_that_the_image_has() -> None:
    settings = Settings.load({}, KUBERNETES / "streamer.toml")
    pod = manifest_of("StatefulSet")["spec"]["template"]["spec"]
    [worker] = pod["containers"]
    [port] = worker["ports"]
    assert port["containerPort"] == settings.http_port
    assert settings.http_host == "0.0.0.0"
    assert f"USER {pod['securityContext']['runAsUser']}" in DOCKERFILE
    for variable in worker["env"]:
        assert variable["name"].removeprefix("STREAMER_").lower() in Settings.model_fields
    mounted = {each["name"]: each["mountPath"] for each in worker["volumeMounts"]}
    assert f"install -d -o streamer {mounted['kernels']}" in DOCKERFILE
    assert worker["args"][0] in main.list_commands(click.Context(main))
    assert worker["args"][2] == f"{mounted['settings']}/streamer.toml"
    for path in ("livenessProbe", "readinessProbe", "startupProbe"):
        assert worker[path]["httpGet"]["path"] in {"/healthz", "/readyz"}


def test_a_worker_of_kubernetes_has_the_memory_of_the_plan_and_of_its_largest_fleet() -> None:
    settings = Settings.load({}, KUBERNETES / "streamer.toml")
    [worker] = manifest_of("StatefulSet")["spec"]["template"]["spec"]["containers"]
    asked, most = (
        int(worker["resources"][name]["memory"].removesuffix("Mi")) * 2**20 / 1e6
        for name in ("requests", "limits")
    )
    planned = make_plan(10_000, 50, 50, Format.JSON, 3, 1)
    # One worker with the devices that the plan gives to all.
    assert planned.worker_memory_mb < WORKER_MB + 10_000 * DEVICE_KB / 1000 < asked
    assert WORKER_MB + settings.partitions * settings.max_devices * DEVICE_KB / 1000 < most


def test_a_pod_of_kubernetes_ends_and_returns_within_its_times() -> None:
    settings = Settings.load({}, KUBERNETES / "streamer.toml")
    pod = manifest_of("StatefulSet")["spec"]["template"]["spec"]
    [worker] = pod["containers"]
    # A supervisor gives a worker so long to end, in which it commits what is in progress.
    assert pod["terminationGracePeriodSeconds"] > END_S
    # Longer than the brokers need to forget a pod of the default settings, and than a pod is away.
    assert settings.session_timeout_s > Settings.model_fields["session_timeout_s"].default
    startup = worker["startupProbe"]
    assert startup["periodSeconds"] * startup["failureThreshold"] >= START_S


def test_the_network_of_kubernetes_lets_only_prometheus_in_and_the_settings_out() -> None:
    policy = manifest_of("NetworkPolicy")["spec"]
    settings = Settings.load({}, KUBERNETES / "streamer.toml")
    [rule] = policy["ingress"]
    assert [port["port"] for port in rule["ports"]] == [settings.http_port]
    assert rule["from"], "without senders everybody is let in"
    out = {port["port"] for rule in policy["egress"] for port in rule["ports"]}
    brokers = {int(each.rpartition(":")[2]) for each in settings.bootstrap_servers.split(",")}
    assert brokers | {53} <= out


def test_kubernetes_runs_the_version_that_is_here() -> None:
    [image] = read_yaml(KUBERNETES / "kustomization.yaml")["images"]
    assert image["newTag"] == __version__


def test_the_unit_of_systemd_is_valid_and_confined(tmp_path: Path) -> None:
    if not (analyze := shutil.which("systemd-analyze")):
        pytest.skip("systemd-analyze checks the unit")
    unit = tmp_path / UNIT.name
    text = UNIT.read_text(encoding="utf-8")
    for variable in re.findall(r"^#?Environment=STREAMER_(\w+)=", text, re.MULTILINE):
        assert variable.lower() in Settings.model_fields
    unit.write_text(text.replace("/opt/streamer/bin/streamer", sys.executable), encoding="utf-8")
    verified = subprocess.run(
        [analyze, "verify", str(unit)], capture_output=True, text=True, check=False
    )
    assert verified.returncode == 0, verified.stderr
