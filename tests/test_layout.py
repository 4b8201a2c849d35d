"""Rules about the code as a whole: who imports whom, how long modules are, what nobody uses."""

import ast
import inspect
import re
import sys
from pathlib import Path

import pytest
from prometheus_client.metrics import MetricWrapperBase

import streamer
from streamer.metrics import Metrics
from streamer.model_metrics import ModelMetrics
from streamer.settings import GatewaySettings, Settings
from streamer.settings.connection import SECRETS
from streamer.settings.second_predictors import SecondPredictors

PACKAGE = Path(streamer.__file__).parent
MODULES = sorted(PACKAGE.rglob("*.py"))
ROOMS = (
    "errors",
    "tls",
    "printable",
    "terminal",
    "arrays",
    "kernel_cache",
    "compiled",
    "storage",
    "features",
    "stream",
    "contracts",
    "profiles",
    "settings",
    "fetch_traces",
    "metric_definitions",
    "gateway_metrics",
    "model_metrics",
    "metrics",
    "health",
    "model",
    "predict",
    "labels",
    "flow",
    "kafka",
    "localkafka",
    "datasets",
    "training",
    "reports",
    "publishing",
    "prediction_server",
    "process",
    "gateway",
    "tools",
    "testing",
    "cli",
    "__main__",
)
"""Folders and files of the package. Each one imports only from itself and from those before it."""
LONGEST = 300
"""Lines of a module, unless it says in its docstring why it is one long module."""


def name_of(path: Path) -> str:
    return path.relative_to(PACKAGE).as_posix()


def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def imported(tree: ast.Module) -> set[str]:
    """Names of modules, or of things in modules, that a module imports absolutely."""
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative imports are not for here"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def read_from(node: ast.AST, *owners: str) -> set[str]:
    """Attributes that are read from something that is called like one of the owners."""
    found = set()
    for each in ast.walk(node):
        if isinstance(each, ast.Attribute):
            owner = each.value
            called = owner.attr if isinstance(owner, ast.Attribute) else getattr(owner, "id", "")
            if called in owners:
                found.add(each.attr)
    return found


def read_outside(module: str, *owners: str) -> set[str]:
    trees = [tree_of(path) for path in MODULES if name_of(path) != module]
    return set().union(*(read_from(tree, *owners) for tree in trees))


def methods(cls: type) -> dict[str, ast.FunctionDef]:
    path = inspect.getsourcefile(cls)
    assert path is not None
    [found] = [
        node
        for node in tree_of(Path(path)).body
        if isinstance(node, ast.ClassDef) and node.name == cls.__name__
    ]
    return {node.name: node for node in found.body if isinstance(node, ast.FunctionDef)}


def room_of(module: str) -> str:
    """Return the folder or file of the package in which a module lives: `kafka` for its lanes."""
    return module.split(".")[1]


def test_every_room_has_its_place_in_the_order() -> None:
    found = {path.relative_to(PACKAGE).parts[0].removesuffix(".py") for path in MODULES}
    assert found - {"__init__"} == set(ROOMS)


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_no_import_goes_up_the_order_of_rooms(path: Path) -> None:
    here = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    if here == "__init__":
        assert not any(name.startswith("streamer") for name in imported(tree_of(path)))
        return
    ours = {name for name in imported(tree_of(path)) if name.startswith("streamer.")}
    ours -= {"streamer.__version__"}
    above = ROOMS[ROOMS.index(here) + 1 :]
    assert {name for name in ours if room_of(name) in above} == set()


@pytest.mark.parametrize("room", ["features", "stream"])
def test_a_pure_room_imports_arrays_and_nothing_that_does_input_or_output(room: str) -> None:
    found = {
        name.partition(".")[0]
        for path in (PACKAGE / room).rglob("*.py")
        for name in imported(tree_of(path))
    }
    outside = {"asyncio", "logging", "os", "pathlib", "random", "socket", "subprocess", "time"}
    assert not found & outside
    # `make test-core` leaves these rooms out, because nothing optional is in them.
    assert found - sys.stdlib_module_names == {"numpy", "scipy", "streamer"} & found


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_a_long_module_says_why_it_is_one(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    reason = re.search(r"one long module,? because", ast.get_docstring(ast.parse(text)) or "")
    assert reason or len(text.splitlines()) <= LONGEST


PRINTERS = {"terminal.py", "cli/failures.py"}


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_only_the_terminal_prints(path: Path) -> None:
    """Text of records must be escaped: print with `streamer.terminal.echo` or `terminal()`."""
    if name_of(path) in PRINTERS:
        return
    calls = [node for node in ast.walk(tree_of(path)) if isinstance(node, ast.Call)]
    called = {ast.unparse(call.func) for call in calls}
    if '__name__ == "__main__"' in path.read_text(encoding="utf-8"):
        called -= {"print"}  # writes our own documentation
    assert called & {"print", "click.echo", "click.secho", "rich.print", "Console"} == set()


def test_every_setting_is_read_somewhere() -> None:
    used = read_outside("settings/catalogue.py", "settings", "_settings")
    # `read_secret` takes the name of a secret.
    used |= {f"{name}{end}" for name in SECRETS for end in ("", "_file")}
    for name, method in (methods(Settings) | methods(SecondPredictors)).items():
        if name in used:  # a property that is made of settings
            used |= read_from(method, "self")
    for method in methods(GatewaySettings).values():  # what may be set together
        used |= read_from(method, "self")
    assert set(GatewaySettings.model_fields) - used == set()


def test_every_metric_is_set_somewhere() -> None:
    used = read_outside("metrics.py", "metrics", "_metrics")
    for name, method in (methods(Metrics) | methods(ModelMetrics)).items():
        if name in used:
            used |= read_from(method, "self")
    computed = methods(Metrics)["__init__"]
    used |= {
        name for name in vars(Metrics()) if f"self.{name}.set_function" in ast.unparse(computed)
    }
    metrics = {
        name
        for name, value in vars(Metrics()).items()
        if isinstance(value, MetricWrapperBase) and name != "build"  # set once, where it is made
    }
    assert len(metrics) + 1 == len(Metrics().catalogue)  # certificates are looked up at a scrape
    assert metrics - used == set()
