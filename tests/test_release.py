"""Releases: a wheel is the same whoever builds it, and what it needs is pinned with hashes."""

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PINNED = (ROOT / "deploy" / "requirements.txt").read_text(encoding="utf-8")


def build_wheel(folder: Path) -> tuple[str, str]:
    """Build the wheel of a copy of the sources; return its name and its hash."""
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        folder.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, folder)
    kept = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "streamer", folder / "streamer", ignore=kept)
    program = "import hatchling.build; print(hatchling.build.build_wheel('.'))"
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=folder,
        env=os.environ | {"SOURCE_DATE_EPOCH": "1700000000"},
        capture_output=True,
        text=True,
        check=True,
    )
    name = done.stdout.split()[-1]
    return name, hashlib.sha256((folder / name).read_bytes()).hexdigest()


def test_a_wheel_is_built_twice_with_the_same_bytes(tmp_path: Path) -> None:
    pytest.importorskip("hatchling")
    assert build_wheel(tmp_path / "here") == build_wheel(tmp_path / "elsewhere")


def names_of(requirements: list[str]) -> set[str]:
    found = [re.match(r"[\w.-]+", each) for each in requirements]
    return {match[0].lower().replace("_", "-") for match in found if match}


def test_everything_that_a_worker_needs_is_pinned_with_hashes_to_what_is_tested() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    pins = re.findall(
        r"^([\w.-]+)==([\w.]+)(?: ;[^\\]*)? \\\n((?: +--hash=.*\n?)+)", PINNED, re.MULTILINE
    )
    assert len(pins) == len(re.findall(r"^[\w.-]+==", PINNED, re.MULTILINE))
    assert names_of(project["dependencies"]) <= {name for name, _, _ in pins}
    tested = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    for name, version, hashes in pins:
        assert hashes.count("--hash=sha256:") >= 1
        assert f"{name}=={version}" in {line.partition(" ;")[0] for line in tested}, name


def read_dockerfile() -> list[list[tuple[str, str]]]:
    """Return the instructions of each stage of the image."""
    stages: list[list[tuple[str, str]]] = []
    for line in (ROOT / "Dockerfile").read_text(encoding="utf-8").splitlines():
        instruction, _, rest = line.partition(" ")
        if instruction == "FROM":
            stages.append([])
        if instruction not in {"", "#"}:
            stages[-1].append((instruction, rest))
    return stages


def copy(sources_and_target: str, folder: Path) -> None:
    """Copy what a COPY instruction names."""
    *names, target = sources_and_target.split()
    for name in names:
        if (ROOT / name).is_dir():
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(ROOT / name, folder / target, ignore=ignored)
        else:
            shutil.copy(ROOT / name, folder / target)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_the_steps_of_the_image_give_a_program_with_all_kernels(tmp_path: Path) -> None:
    """All steps run here, in folders of this test instead of those of the image."""
    source, installed, cache = tmp_path / "src", tmp_path / "streamer", tmp_path / "cache"
    source.mkdir()
    places = {"/opt/streamer": installed, "/src": source, "/var/cache": cache}
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}
    environment |= {name: value for name, value in os.environ.items() if name.startswith("PIP_")}

    def here(text: str) -> str:
        for place, folder in places.items():
            text = text.replace(place, str(folder))
        return text

    def run(command: str) -> str:
        done = subprocess.run(
            ["sh", "-c", command],
            cwd=source,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
        return done.stdout

    for stage in read_dockerfile():
        for instruction, rest in stage:
            if instruction == "ENV":
                environment |= dict(pair.split("=", 1) for pair in here(rest).split())
                environment["PATH"] = environment["PATH"].replace("$PATH", os.environ["PATH"])
            elif instruction == "COPY" and not rest.startswith("--from"):
                copy(rest, source)
            elif instruction == "RUN" and "useradd" not in rest:
                # This test need not be root.
                run(here(rest).replace("-o streamer ", ""))
    kernels = len(list((installed / "kernels").glob("*.kernel")))
    assert kernels > 50
    assert "streamer" in run("streamer --version")
    run("python -m streamer.process.warm_up")
    assert len(list((installed / "kernels").glob("*.kernel"))) == kernels
    assert not list(cache.rglob("*.kernel"))
