"""Principal components of features in memory and on disk, by each of the ways that there are."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from vitscope.embedding import components
from vitscope.embedding.components import check_finite, principal_components
from vitscope.errors import NotFiniteError


def by_decomposition(features, wanted):
    """The first components and their shares, from NumPy's decomposition of all features at once."""
    centred = features.astype(np.float64) - features.mean(axis=0, dtype=np.float64)
    left, sizes, right = np.linalg.svd(centred, full_matrices=False)
    signs = np.sign(right[np.arange(len(right)), np.abs(right).argmax(axis=1)])
    return (left * sizes * signs)[:, :wanted], (sizes**2 / (sizes**2).sum())[:wanted]


@pytest.fixture
def on_disk(tmp_path):
    """90 images of 70 features, of which the first dozen directions stand out, mapped to memory."""
    draw = np.random.default_rng(0)
    values = draw.normal(size=(90, 12)) * 1.4 ** -np.arange(12) @ draw.normal(size=(12, 70))
    values = (values + 0.01 * draw.normal(size=(90, 70)) + 5).astype(np.float32)
    np.save(tmp_path / "features.npy", values)
    return np.load(tmp_path / "features.npy", mmap_mode="r")


@pytest.mark.parametrize(
    ("small", "rows", "exact"),
    [(2048, 90, True), (40, 30, True), (40, 90, False)],
    ids=["covariance", "few images", "random directions"],
)
def test_every_way_finds_the_components_of_the_decomposition(on_disk, monkeypatch, small, rows, exact):
    monkeypatch.setattr(components, "_SMALL", small)
    monkeypatch.setattr(components, "_BLOCK", 500)  # seven images at a time
    points, shares = principal_components(on_disk[:rows], 6)
    expected, parts = by_decomposition(on_disk[:rows], 6)
    near = 1e-9 if exact else 1e-5
    assert np.abs(points - expected).max() < near * np.abs(expected).max() + 1e-6 * exact
    assert shares == pytest.approx(parts, rel=1e-6)
    assert np.array_equal(points, principal_components(on_disk[:rows], 6)[0])


def test_components_that_there_are_not_are_nothing(monkeypatch):
    values = np.random.default_rng(0).normal(size=(5, 60))
    monkeypatch.setattr(components, "_SMALL", 40)
    points, shares = principal_components(values, 7)
    assert np.abs(points[:, 4:]).max() < 1e-6  # five images span four directions
    assert shares[4:] == pytest.approx(np.zeros(3), abs=1e-12)
    assert shares.sum() == pytest.approx(1)
    assert not principal_components(np.full((50, 60), 0.1), 2)[0].any()


def test_no_more_than_a_block_is_in_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(components, "_BLOCK", 1 << 13)
    path = tmp_path / "wide.npy"
    values = np.lib.format.open_memmap(path, "w+", np.float32, (10_000, 100))
    values[:] = np.arange(100) % 7
    values[::2, 3] = 9
    tracemalloc.start()
    check_finite(values)
    principal_components(values, 2)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < values.nbytes / 4


def test_a_feature_that_is_not_finite_is_found_in_any_block(on_disk, monkeypatch):
    monkeypatch.setattr(components, "_BLOCK", 500)
    values = np.array(on_disk)
    check_finite(values)
    values[-1, -1] = np.inf
    with pytest.raises(NotFiniteError):
        check_finite(values)
