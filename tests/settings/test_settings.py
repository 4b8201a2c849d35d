import tomllib
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import HealthCheck, example, given
from hypothesis import settings as examples
from hypothesis import strategies as st

from streamer.cli import main
from streamer.errors import SettingsError
from streamer.settings import Settings, as_toml, origins
from streamer.settings import views as module
from streamer.settings.predictor_names import ENDPOINTS

DOCS = Path(__file__).parents[2] / "docs" / "configuration.md"


@pytest.fixture(autouse=True)
def nothing_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(f"STREAMER_{name.upper()}", raising=False)
    monkeypatch.delenv("STREAMER_CONFIG", raising=False)


def toml(folder: Path, text: str) -> Path:
    path = folder / "streamer.toml"
    path.write_text(text, encoding="utf-8")
    return path


def complaints(flags: dict[str, Any] | None = None, config: Path | None = None) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        Settings.load(flags, config)
    return str(caught.value).splitlines()


def test_a_flag_wins_over_the_environment_over_the_file_over_the_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = toml(tmp_path, 'group_id = "file"\nmodel = "file.npz"\npartitions = 3')
    monkeypatch.setenv("STREAMER_GROUP_ID", "environment")
    monkeypatch.setenv("STREAMER_MODEL", "environment.npz")
    flags = {"group_id": "flag"}

    settings = Settings.load(flags, file)
    assert settings.group_id == "flag"
    assert settings.model == Path("environment.npz")
    assert settings.partitions == 3
    assert settings.http_port == 9464

    came_from = origins(flags, file)
    assert came_from["group_id"] == "flag --group-id"
    assert came_from["model"] == "environment STREAMER_MODEL"
    assert came_from["partitions"] == f"file {file}"
    assert came_from["http_port"] == "default"


def test_the_file_may_be_named_by_the_environment_and_the_flag_wins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STREAMER_CONFIG", str(toml(tmp_path, "partitions = 3")))
    assert Settings.load().partitions == 3
    other = tmp_path / "other.toml"
    other.write_text("partitions = 4", encoding="utf-8")
    assert Settings.load(config=other).partitions == 4


def test_a_misspelt_variable_is_refused_with_the_right_name(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("STREAMER_MAX_GAP", "80")
    assert complaints() == [
        "environment: there is no setting STREAMER_MAX_GAP; did you mean STREAMER_MAX_GAP_MS?"
    ]


def test_a_misspelt_key_in_the_file_is_refused_with_the_right_name(tmp_path: Path) -> None:
    file = toml(tmp_path, "partitons = 3")
    assert complaints(config=file) == [
        f"file {file}: there is no setting partitons; did you mean partitions?"
    ]


def test_the_error_of_an_unknown_name_points_to_the_list_of_settings(tmp_path: Path) -> None:
    file = toml(tmp_path, "zzz = 3")
    assert complaints(config=file) == [
        f"file {file}: there is no setting zzz; `streamer config show` lists all settings"
    ]


def test_a_misspelt_name_in_a_program_is_refused_with_the_right_name() -> None:
    assert complaints({"partitons": 3}) == [
        "there is no setting partitons; did you mean partitions?"
    ]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("partitions", "many"),
        ("partitions", "0"),
        ("http_port", "65536"),
        ("min_coverage", "1.5"),
        ("max_gap_ms", "nan"),
        ("idle_timeout_s", "4"),
        ("delivery", "perhaps"),
        ("dead_letter_late", "sometimes"),
        ("max_future_skew_s", "inf"),
        ("session_timeout_s", "inf"),
        ("bootstrap_servers", "kafka-1"),
        ("bootstrap_servers", "kafka-1:http"),
        ("bootstrap_servers", "kafka-1:9092,:9092"),
        ("bootstrap_servers", "kafka-1:65536"),
        ("bootstrap_servers", "kafka-1:9092;kafka-2:9092"),
        ("bootstrap_servers", "kafka-1:9092 kafka-2:9092"),
        ("bootstrap_servers", "2001:db8::1:9092"),
        ("readings_topic", "my topic"),
        ("segments_topic", "a/b"),
        ("dlq_topic", "."),
        ("instance_id", "worker one"),
        ("predictor", "Local"),
        ("predictor", "my.module.Class"),
        ("schema_registry", "registry:8081"),
        ("endpoint", "http://127.0.0.1:8080"),
    ],
)
def test_a_wrong_value_is_refused_with_setting_place_and_value(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"STREAMER_{name.upper()}", value)
    [line] = complaints()
    assert line.startswith(f"{name} (environment STREAMER_{name.upper()}): should be ")
    assert line.count("should") == 1
    assert line.endswith(f", not '{value}'")


@pytest.mark.parametrize("servers", ["PLAINTEXT://kafka-1:9092", "kafka-1:9092,SSL://kafka-2:9092"])
def test_an_address_with_a_protocol_is_refused_and_the_setting_for_the_protocol_named(
    servers: str,
) -> None:
    [line] = complaints({"bootstrap_servers": servers})
    assert line == (
        "bootstrap_servers (flag --bootstrap-servers): should be `host:port`; the protocol is in "
        f"security_protocol, not '{servers}'"
    )


@pytest.mark.parametrize(
    "servers", ["kafka-1:9092, kafka-2.example.org:9093", "127.0.0.1:9092", "[2001:db8::1]:9092"]
)
def test_addresses_may_be_names_and_addresses_of_ip(servers: str) -> None:
    assert Settings.load({"bootstrap_servers": servers}).bootstrap_servers == servers


@pytest.mark.parametrize("name", ["group_id", "events_topic", "instance_id"])
def test_an_empty_name_is_refused(name: str) -> None:
    [line] = complaints({name: ""})
    assert line.startswith(f"{name} (flag --{name.replace('_', '-')}): should ")
    assert " 1 " in line


@pytest.mark.parametrize("which", ["", "canary_", "shadow_"])
@pytest.mark.parametrize("kind", ENDPOINTS)
def test_a_predictor_behind_a_network_needs_an_endpoint(which: str, kind: str) -> None:
    [line] = complaints({f"{which}predictor": kind})
    assert f"{kind} needs" in line
    assert f"{which}endpoint" in line


def test_a_predictor_that_does_not_exist_is_refused_with_those_that_do() -> None:
    [line] = complaints({"predictor": "Local"})
    assert "should be `local`, `onnx`, " in line
    assert "`package.module:Class`, not 'Local'" in line


def test_settings_in_a_table_are_refused_with_the_place_where_they_belong(tmp_path: Path) -> None:
    file = toml(tmp_path, "[streamer]\npartitions = 3")
    [line] = complaints(config=file)
    assert line.startswith(f"file {file}: there is no table [streamer]; settings are written ")


def test_the_check_of_settings_names_a_model_file_that_is_not_there() -> None:
    done = CliRunner().invoke(main, ["config", "check", "--model", "waste"])
    assert done.exit_code == 1
    assert "model waste cannot be read" in done.output
    assert "a model of the package: har, har-acc, waist" in done.output


def test_an_empty_variable_counts_as_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("partitions", "model", "instance_id", "sasl_password"):
        monkeypatch.setenv(f"STREAMER_{name.upper()}", "")
    monkeypatch.setenv("STREAMER_CONFIG", "")
    assert Settings.load() == Settings()
    assert set(origins().values()) == {"default"}


def test_two_topics_with_one_name_are_refused_from_any_source() -> None:
    [line] = complaints({"dlq_topic": "activity-events"})
    assert line == (
        "events_topic (default), dlq_topic (flag --dlq-topic): "
        "should be different topics, not all 'activity-events'"
    )


def test_all_wrong_settings_of_all_sources_are_reported_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = toml(tmp_path, 'max_gapms = 80\npartitions = "many"')
    monkeypatch.setenv("STREAMER_GROUPID", "x")
    monkeypatch.setenv("STREAMER_MIN_COVERAGE", "2")
    lines = complaints({"http_port": "-1"}, file)
    starts = [
        "environment: there is no setting STREAMER_GROUPID",
        f"file {file}: there is no setting max_gapms",
        "http_port (flag --http-port)",
        "min_coverage (environment STREAMER_MIN_COVERAGE)",
        f"partitions (file {file})",
    ]
    assert len(lines) == len(starts)
    for line, start in zip(sorted(lines), sorted(starts), strict=True):
        assert line.startswith(start)


def test_a_file_that_is_not_toml_is_refused_with_name_and_place(tmp_path: Path) -> None:
    file = toml(tmp_path, "partitions = 3\ngroup_id = oops\n")
    [line] = complaints(config=file)
    assert line.startswith(f"the settings file {file} is not TOML: ")
    assert "line 2" in line


def test_a_file_that_is_not_there_is_refused_by_name(tmp_path: Path) -> None:
    file = tmp_path / "nowhere.toml"
    assert complaints(config=file) == [
        f"cannot read the settings file {file}: No such file or directory"
    ]


@pytest.mark.parametrize("given", [{}, {"sasl_username": "me"}, {"sasl_password": "secret"}])
def test_a_login_by_sasl_needs_name_and_password(given: dict[str, str]) -> None:
    [line] = complaints({"security_protocol": "SASL_SSL", **given})
    assert line.startswith("security_protocol (flag --security-protocol): SASL_SSL needs ")
    assert "sasl_username, and sasl_password or sasl_password_file" in line


def test_a_login_by_sasl_with_name_and_password_is_accepted() -> None:
    login = {"security_protocol": "SASL_SSL", "sasl_username": "me", "sasl_password": "secret"}
    password = Settings.load(login).sasl_password
    assert password is not None
    assert password.get_secret_value() == "secret"


def test_settings_do_not_show_the_password(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STREAMER_SASL_PASSWORD", "from-environment")
    shown = CliRunner().invoke(main, ["config", "show"])
    assert shown.exit_code == 0
    assert "sasl_password" in shown.output
    assert "STREAMER_SASL_PASSWORD" in shown.output
    assert "from-environment" not in shown.output + repr(Settings.load())

    monkeypatch.delenv("STREAMER_SASL_PASSWORD")
    file = toml(tmp_path, "sasl_password = 271828\npartitions = 0")
    shown = CliRunner().invoke(main, ["config", "show", "--config", str(file)])
    assert shown.exit_code == 1
    assert "sasl_password" in shown.output
    assert "271828" not in shown.output


def test_show_prints_each_value_and_its_source(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("STREAMER_GROUP_ID", "[bold]home[/bold]")
    shown = CliRunner().invoke(main, ["config", "show", "--partitions", "5"])
    rows = {line.split()[0]: line.split()[1:] for line in shown.output.splitlines() if line.strip()}
    assert rows["group_id"] == ["[bold]home[/bold]", "environment", "STREAMER_GROUP_ID"]
    assert rows["partitions"] == ["5", "flag", "--partitions"]
    assert set(Settings.model_fields) <= set(rows)


# The folder's file is written anew for each example.
@examples(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    text=st.text(min_size=1),
    seconds=st.floats(1e-6, allow_infinity=False),
    late=st.booleans(),
    model=st.none() | st.just(Path("models") / 'a "b" \\ c.npz'),
)
@example(text='"\\ \n\t\x00\x7f\u2028 \U0001f3c3', seconds=1e-6, late=True, model=None)
def test_settings_printed_as_a_file_are_read_as_the_same_settings(
    text: str, seconds: float, late: bool, model: Path | None, tmp_path: Path
) -> None:
    chosen = {"group_id": text, "max_future_skew_s": seconds, "dead_letter_late": late}
    settings = Settings.load({**chosen, "model": model})
    assert Settings.load(config=toml(tmp_path, as_toml(settings))) == settings


def test_show_prints_a_file_without_the_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STREAMER_SASL_PASSWORD", "from-environment")
    shown = CliRunner().invoke(main, ["config", "show", "--toml", "--partitions", "5"])
    values = tomllib.loads(shown.output)
    assert values["partitions"] == 5
    assert "sasl_password" not in values
    assert "# sasl_password is set, and not shown" in shown.output.splitlines()
    assert "from-environment" not in shown.output


def test_the_documented_table_is_up_to_date() -> None:
    assert DOCS.read_text(encoding="utf-8").endswith("\n" + module.documentation())


def test_the_documented_file_can_be_loaded(tmp_path: Path) -> None:
    example = DOCS.read_text(encoding="utf-8").split("```toml\n")[1].split("```")[0]
    settings = Settings.load(config=toml(tmp_path, example))
    for name, value in tomllib.loads(example).items():
        assert getattr(settings, name) == value
