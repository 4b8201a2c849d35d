"""Inspects recordings, with a given profile or by trying the profiles of the package."""

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from streamer.datasets.inspection import RecordingReport, inspect_recording
from streamer.datasets.json_readings import JSON_FILES, read_json_records
from streamer.datasets.profile_proposal import Proposal, propose_profile
from streamer.datasets.profiled_recordings import read_profiled_recordings
from streamer.errors import DataError
from streamer.profiles.choose_decoder import make_decoder
from streamer.profiles.profile import CONTRACT, SHIPPED_PROFILES, FileLayout, Profile, load_profile


@dataclass(frozen=True, slots=True)
class Inspection:
    """The result of an inspection.

    Attributes:
        reports: of each recording.
        profile: name of the profile of the package that fits; empty when one was given.
        proposal: a guess, when none fits.
    """

    reports: Sequence[RecordingReport]
    profile: str = ""
    proposal: Proposal | None = None


def inspect_source(source: Path, layout: FileLayout | None) -> Inspection:
    """Inspect recordings.

    Args:
        source: a file or folder.
        layout: the section `files` of a profile; None to try those of the package.

    Raises:
        DataError: the source does not fit the profile, or no profile of the package fits it.
    """
    if layout is not None:
        return Inspection(_inspect(source, layout))
    if source.suffix in JSON_FILES:
        return _inspect_json(source)
    for path in sorted(SHIPPED_PROFILES.glob("*.toml")):
        shipped = load_profile(path.stem).files
        if shipped is None:
            continue
        # A file of one sensor is inspected together with the files of the other sensors beside it.
        sensors = [each.file for each in (shipped.acc, shipped.gyro, shipped.gravity) if each]
        folder = source.parent if source.name in sensors else source
        if reports := _try(folder, shipped):
            return Inspection(reports, profile=path.stem)
    file = _find_file(source)
    proposal = propose_profile(file)
    if file != source:
        remark = (
            f"only {file} was looked at; if other files have other sensors, name them by `file`"
        )
        proposal = replace(proposal, remarks=(*proposal.remarks, remark))
    return Inspection(_inspect_proposed(file, proposal), proposal=proposal)


def _inspect_json(source: Path) -> Inspection:
    """Inspect JSON records of the contract, or of a profile of the package."""
    with_records = [
        path.stem
        for path in sorted(SHIPPED_PROFILES.glob("*.toml"))
        if load_profile(path.stem).records
    ]
    faults = []
    for name in (CONTRACT, *with_records):
        try:
            recordings = read_json_records(source, make_decoder(name))
        except DataError as error:
            faults.append(error)
        else:
            found = [inspect_recording(raw) for raw in recordings]
            return Inspection(found, profile="" if name == CONTRACT else name)
    raise faults[0]


def _inspect(source: Path, layout: FileLayout) -> list[RecordingReport]:
    return [inspect_recording(raw) for raw in read_profiled_recordings(source, layout)]


def _try(source: Path, layout: FileLayout) -> list[RecordingReport]:
    try:
        return _inspect(source, layout)
    except DataError:
        return []


def _inspect_proposed(file: Path, proposal: Proposal) -> list[RecordingReport]:
    layout = Profile.model_validate(tomllib.loads(proposal.toml)).files
    assert layout is not None
    return _inspect(file, layout)


def _find_file(source: Path) -> Path:
    if source.is_file():
        return source
    files = sorted(path for path in source.rglob("*") if path.suffix in {".csv", ".tsv", ".txt"})
    if not files:
        raise DataError(f"{source} has no .csv, .tsv or .txt file")
    return files[0]
