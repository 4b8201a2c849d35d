from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from streamer.cli import main
from streamer.datasets.conversion import convert
from streamer.datasets.feature_statistics import (
    BINS,
    associate_with_classes,
    compute_statistics,
    histogram,
)
from streamer.datasets.feature_table import FeatureTable
from streamer.reports.statistics_report import describe_correlation, statistics_as_page
from tests.support.html import read
from tests.support.tables import table_of, write_published


def run(source: Path, *flags: str) -> Result:
    return CliRunner().invoke(main, ["dataset", "statistics", str(source), *flags])


def with_column(table: FeatureTable, column: int, values: np.ndarray) -> FeatureTable:
    features = table.features.copy()
    features[:, column] = values
    return replace(table, features=features)


@st.composite
def labelled(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    """Values, and which class each is of (classes, n); the classes lie more or less apart."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    classes = draw(st.integers(2, 5))
    labels = np.concatenate([np.arange(classes), rng.integers(classes, size=30)])
    values = rng.normal(size=len(labels)) + draw(st.floats(0, 5)) * labels
    return values, labels == np.arange(classes)[:, None]


@given(labelled())
def test_association_agrees_with_the_analysis_of_variance_and_with_pearson(
    given: tuple[np.ndarray, np.ndarray],
) -> None:
    values, members = given
    eta2, chance, r = associate_with_classes(values, members)
    groups = [values[own] for own in members]
    between = sum(len(own) * (own.mean() - values.mean()) ** 2 for own in groups)
    assert eta2 == pytest.approx(between / ((values - values.mean()) ** 2).sum())
    assert chance == pytest.approx(stats.f_oneway(*groups).pvalue, rel=1e-6)
    assert r == pytest.approx([np.corrcoef(values, own)[0, 1] for own in members])


@given(labelled(), st.floats(1e-200, 1e100), st.floats(-1e3, 1e3))
def test_association_does_not_depend_on_the_unit(
    given: tuple[np.ndarray, np.ndarray], unit: float, shift: float
) -> None:
    values, members = given
    here = associate_with_classes(values, members)
    there = associate_with_classes((values + shift) * unit, members)
    assert there[0] == pytest.approx(here[0], rel=1e-6)
    assert there[2] == pytest.approx(here[2], rel=1e-6, abs=1e-9)


def test_missing_and_invalid_values_are_counted_and_the_rest_described() -> None:
    table = table_of(40)
    values = np.arange(40.0)
    values[:5], values[5:8] = np.nan, np.inf
    feature = compute_statistics(with_column(table, 3, values)).features[3]
    there = values[8:]
    assert (feature.missing, feature.invalid, sum(feature.counts)) == (5, 3, 32)
    assert (feature.least, feature.most) == (8, 39)
    assert feature.mean == there.mean()
    assert feature.deviation == pytest.approx(there.std())
    assert feature.quartiles == tuple(np.quantile(there, (0.25, 0.5, 0.75)))


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=50))
def test_a_distribution_counts_every_value_once_and_reaches_both_ends(values: list[float]) -> None:
    counts = histogram(np.array(values))
    assert (len(counts), sum(counts)) == (BINS, len(values))
    assert counts[0] > 0
    assert counts[-1] > 0 or min(values) == max(values)


@pytest.mark.parametrize("values", [np.full(30, 0.25), np.full(30, np.nan)])
def test_a_constant_or_absent_feature_correlates_with_nothing(values: np.ndarray) -> None:
    statistics = compute_statistics(with_column(table_of(30), 2, values))
    assert np.isnan(statistics.features[2].eta2)
    assert statistics.features[2] not in statistics.ranked


def test_classes_are_counted_in_the_order_of_their_numbers() -> None:
    table = replace(table_of(6), labels=["10", "9", "9", "2", "10", "10"])
    assert list(compute_statistics(table).classes.items()) == [("2", 1), ("9", 2), ("10", 3)]


def test_the_feature_that_separates_the_labels_is_found_and_no_other() -> None:
    statistics = compute_statistics(table_of(90))
    assert [each.variable for each in statistics.correlated] == ["Var001"]
    assert statistics.ranked[0].variable == "Var001"
    assert describe_correlation(statistics).startswith(
        "1 of 561 features correlate with the target; the strongest is"
    )


@pytest.mark.parametrize("seed", range(5))
def test_a_target_without_correlation_is_described_in_a_sentence(seed: int) -> None:
    table = table_of(300, seed=seed)
    shuffled = np.random.default_rng(seed).permutation(table.labels).tolist()
    said = describe_correlation(compute_statistics(replace(table, labels=shuffled)))
    assert said.startswith("Nothing correlates with the target: no feature")


def test_a_single_class_is_described_in_a_sentence() -> None:
    said = describe_correlation(compute_statistics(replace(table_of(9), labels=["4"] * 9)))
    assert said == (
        "Nothing correlates with the target: every record has the same label, 4. "
        "There is nothing to learn."
    )


def test_the_terminal_shows_balance_correlation_and_left_out_records(tmp_path: Path) -> None:
    source = write_published(tmp_path / "source", table_of(60), split=30)
    with (source / "test" / "y_test.txt").open("r+") as file:
        file.write("x")
    done = run(source, "--top", "3")
    assert done.exit_code == 0
    assert "59 records, 1 invalid records left out, 3 classes, 3 people" in done.output
    shares = [line.split()[:4] for line in done.output.splitlines() if " █" in line]
    assert ["2", "SITTING", "20", "33.9%"] in shares
    features = [line.split() for line in done.output.splitlines() if line.startswith("Var")]
    assert len(features) == 3
    assert features[0][:2] == ["Var001", "tBodyAcc-mean()-X"]
    assert float(features[0][2]) > 0.9


def test_a_record_with_missing_or_invalid_values_is_kept(tmp_path: Path) -> None:
    [data, _] = convert(table_of(30), tmp_path)
    lines = data.read_text().splitlines()
    for number, text in ((4, ""), (5, "?"), (6, "many")):
        fields = lines[number].split(",")
        fields[1] = text
        lines[number] = ",".join(fields)
    data.write_text("\n".join(lines))
    output = run(tmp_path, "--top", "1").output
    assert "30 records, 0 invalid records left out" in output
    assert "2 missing values" in output
    [feature] = [line.split() for line in output.splitlines() if line.startswith("Var")]
    assert feature[3:5] == ["2", "1"]


def test_the_page_has_every_feature_class_and_person(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    source = write_published(tmp_path / "source", table_of(60), split=30)
    report = tmp_path / "report.html"
    done = run(source, "--report", str(report))
    assert f"{report}: open it in a browser" in done.output
    page = report.read_text()
    texts = read(page).texts
    assert texts.count("tBodyAcc-mean()-X") >= 2
    for text in ("60", "1 WALKING", "3 ROWING", "Var561", "Records of each person"):
        assert text in texts
    assert "://" not in page


def test_the_same_table_gives_the_same_page_and_without_correlation_a_note() -> None:
    pytest.importorskip("matplotlib")
    table = replace(table_of(30), labels=["4"] * 30, subjects=None)
    pages = {statistics_as_page(compute_statistics(table), table, "invented", 0) for _ in range(2)}
    assert len(pages) == 1
    [page] = pages
    assert 'class="note">Nothing correlates with the target' in page
    assert "Records of each person" not in page


def test_many_classes_and_incomplete_features_still_make_a_page() -> None:
    pytest.importorskip("matplotlib")
    table = table_of(60)
    table.features[::7, 0] = np.nan
    table.features[3, 1] = np.inf
    table = replace(table, labels=[f"class ${i % 12}$ <b>" for i in range(60)], names={})
    assert (
        "class $11$ <b>"
        in read(statistics_as_page(compute_statistics(table), table, "invented", 0)).texts
    )


def test_a_report_without_the_extra_says_so_before_anything_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streamer.reports.html_page.find_spec", lambda _: None)
    done = run(tmp_path, "--report", str(tmp_path / "report.html"))
    assert done.exit_code == 1
    assert "pip install 'streamer[train]'" in done.output
