import gzip
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamer.arrays import Floats
from streamer.features import NAMES
from streamer.predict.batch_files import (
    FeatureFile,
    find_features,
    read_manifest,
    read_results,
    tag_windows,
)
from streamer.predict.endpoint_protocol import InvalidAnswerError

LABELS = ["1", "2"]
RESULTS = gzip.compress(b"tag,1,2\n" + b"".join(b"%032x,0.25,0.75\n" % i for i in range(40)))


def features_of(windows: int) -> Floats:
    return np.random.default_rng(2).uniform(-1, 1, (windows, len(NAMES)))


def write(parts: Sequence[tuple[list[str], Floats]]) -> tuple[bytes, bytes]:
    """Write a file of parts; return its digest and its content."""
    file = FeatureFile()
    for ids, features in parts:
        file.add(ids, features)
    digest, content = file.complete(), file.path.read_bytes()
    file.remove()
    assert not Path(file.path).exists()
    return digest, content


def test_the_digest_depends_on_the_windows_and_not_on_their_order() -> None:
    features, ids = features_of(4), ["a/1", "b/2", "c,\n/3", "a/5"]
    whole, _ = write([(ids, features)])
    parts, _ = write([([ids[i]], features[[i]]) for i in (2, 0, 3, 1)])
    other, _ = write([(ids, features + np.eye(4, 561) * 1e-12)])
    fewer, _ = write([(ids[:3], features[:3])])
    assert whole == parts
    assert len({whole, other, fewer}) == 3


def test_windows_with_the_same_id_have_different_tags() -> None:
    """The clock of a device has gone back, and it uses the identity of a window again."""
    tags = tag_windows(["a/1", "b/1", "a/1", "a/2"])
    assert len(set(tags)) == 4
    assert tag_windows(["a/1", "a/1"]) == [tags[0], tags[2]]


def test_features_are_found_again_as_they_were() -> None:
    features = features_of(3)
    _, content = write([(["a/1", "a/2", "a/3"], features)])
    tags = tag_windows(["a/1", "a/2", "a/3"])
    found = find_features(content.splitlines(), {tags[0]: 0, tags[2]: 2})
    assert {row: values.tobytes() for row, values in found.items()} == {
        row: features[row].tobytes() for row in (0, 2)
    }


def test_results_are_read_in_any_order_of_their_columns() -> None:
    content = gzip.compress(b"2,tag,1\n0.75,x,0.25\n")
    assert list(read_results(content, LABELS)) == [("x", [0.25, 0.75])]


@given(st.integers(0, len(RESULTS) - 1))
def test_results_that_are_cut_off_anywhere_are_refused(length: int) -> None:
    with pytest.raises(InvalidAnswerError):
        list(read_results(RESULTS[:length], LABELS))


def test_results_with_the_labels_of_another_model_are_refused() -> None:
    with pytest.raises(InvalidAnswerError, match="endpoint_labels"):
        list(read_results(RESULTS, ["walking", "sitting"]))


@pytest.mark.parametrize("content", [b"", b'{"a": 1}', b'{"a": "\xff"}', b'{"a":' * 100_000])
def test_a_manifest_of_any_bytes_is_an_invalid_answer(content: bytes) -> None:
    with pytest.raises(InvalidAnswerError, match="the manifest is not complete"):
        read_manifest(content)
