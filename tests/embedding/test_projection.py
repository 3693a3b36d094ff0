"""Projections, their trustworthiness, Procrustes, and what is read from layers."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial import procrustes

from tests.oracles.embedding import procrustes_by_angles, trustworthiness_by_ranks
from vitscope.embedding.procrustes import align_points
from vitscope.embedding.projection import check_method, project
from vitscope.embedding.readout import halves, read_layers
from vitscope.embedding.trust import trust
from vitscope.errors import EnvironmentFault, InputError, NotFiniteError, UsageError
from vitscope.records.embedding import Embedding, LayerReadout


def blobs(count=60, width=8, classes=3, seed=0):
    draw = np.random.default_rng(seed)
    labels = np.arange(count) % classes
    return (draw.normal(size=(count, width)) + 8 * draw.normal(size=(classes, width))[labels]), labels


def test_pca_is_the_eigenvectors_of_the_covariance_with_a_fixed_sign():
    features, _ = blobs()
    found = project(features, "pca")
    centred = features - features.mean(0)
    values, vectors = np.linalg.eigh(np.cov(centred.T))
    for axis in range(2):
        vector = vectors[:, -1 - axis]
        vector = vector * np.sign(vector[np.abs(vector).argmax()])
        assert np.allclose(found.points[:, axis], centred @ vector, atol=1e-3)
    assert np.allclose(found.about["variance"], values[::-1][:2] / values.sum(), atol=1e-5)


@pytest.mark.parametrize("shape", [(7, 1), (6, 40), (9, 3)])
def test_features_of_any_width_have_two_coordinates(shape):
    points = project(np.random.default_rng(0).normal(size=shape), "pca").points
    assert points.shape == (shape[0], 2)
    if shape[1] == 1:
        assert not points[:, 1].any()


def test_images_that_are_all_alike_are_refused():
    for method in ("pca", "tsne"):
        with pytest.raises(InputError, match="all 8 images are equal"):
            project(np.ones((8, 3)), method)


@pytest.mark.slow
@pytest.mark.parametrize("method", ["tsne"])
def test_a_seed_gives_the_same_points_and_apart_what_is_apart(method):
    features, labels = blobs()
    one, other = (project(features, method, seed=3) for _ in range(2))
    assert np.array_equal(one.points, other.points)
    assert one.about["perplexity"] == pytest.approx(59 / 3)
    assert one.about["library"].startswith("openTSNE")
    assert trust(features, one.points).value > 0.9
    near = np.linalg.norm(one.points[:, None] - one.points[None], axis=-1)
    np.fill_diagonal(near, np.inf)
    assert (labels[near.argmin(axis=1)] == labels).all()


def test_scikit_learn_stands_in_for_opentsne(monkeypatch):
    monkeypatch.setattr("vitscope.embedding.projection.find_spec", lambda _: None)
    found = project(blobs(30)[0], "tsne")
    assert found.about["library"].startswith("scikit-learn")
    with pytest.raises(EnvironmentFault, match="umap-learn") as caught:
        check_method("umap")
    assert caught.value.hint == "pip install 'vitscope[embed]'"


@pytest.mark.slow
def test_umap_keeps_neighbours_and_its_seed():
    pytest.importorskip("numba")
    features, _ = blobs()
    threads = torch.get_num_threads()
    one, other = (project(features, "umap", seed=1) for _ in range(2))
    assert torch.get_num_threads() == threads
    assert np.array_equal(one.points, other.points)
    assert one.about["n_neighbors"] == 15
    assert trust(features, one.points).value > 0.9
    assert "umap" in sys.modules


def test_what_cannot_be_projected_is_refused():
    with pytest.raises(InputError, match="at least 5"):
        project(np.ones((4, 3)))
    with pytest.raises(NotFiniteError):
        project(np.full((9, 2), np.nan))
    with pytest.raises(NotFiniteError, match="too large"):
        project(1e30 * np.random.default_rng(0).normal(size=(20, 4)), "tsne")
    with pytest.raises(UsageError, match="no method 'mds'"):
        project(np.ones((9, 2)), "mds")


@settings(max_examples=25, deadline=None)
@given(st.integers(8, 22), st.integers(1, 3), st.integers(0, 10_000))
def test_trustworthiness_is_the_sum_of_ranks(count, near, seed):
    draw = np.random.default_rng(seed)
    features, points = draw.normal(size=(count, 4)), draw.normal(size=(count, 2))
    found = trust(features, points, neighbors=near)
    assert found.value == pytest.approx(trustworthiness_by_ranks(features, points, near), abs=1e-12)
    assert trust(points, points, neighbors=near).value == 1


def test_wide_features_are_compared_block_by_block(monkeypatch):
    draw = np.random.default_rng(0)
    features, points = draw.normal(size=(40, 30)) + 100, draw.normal(size=(40, 2))
    expected = trustworthiness_by_ranks(features, points, 5)
    monkeypatch.setattr("vitscope.embedding.trust._WIDE", 20)
    monkeypatch.setattr("vitscope.embedding.trust._BLOCK", 280)  # seven columns at a time
    assert trust(features, points, neighbors=5).value == pytest.approx(expected, abs=1e-12)
    assert trust(points[:, [0, 1] * 15], points, neighbors=5).value == 1


@pytest.mark.slow
def test_many_images_are_sampled_by_the_seed(monkeypatch):
    monkeypatch.setattr("vitscope.embedding.trust._SAMPLE", 400)
    draw = np.random.default_rng(0)
    points, noise = draw.normal(size=(520, 2)), draw.normal(size=(520, 2))
    found = trust(points, points)
    assert (found.value, found.neighbors, found.sampled) == (1, 12, 400)
    assert trust(points, noise, seed=1) == trust(points, noise, seed=1) != trust(points, noise, seed=2)
    few = trust(points[:7], points[:7])
    assert few.about() == {
        "trustworthiness": few.value,
        "trustworthiness_neighbors": 3,
        "trustworthiness_images": 7,
    }


@settings(max_examples=6, deadline=None)
@given(st.integers(0, 10_000))
def test_alignment_leaves_the_least_that_any_turn_and_mirror_leave(seed):
    draw = np.random.default_rng(seed)
    points, target = draw.normal(size=(9, 2)), draw.normal(size=(9, 2))
    aligned, residual = align_points(points, target)
    assert residual == pytest.approx(procrustes_by_angles(points, target), abs=1e-4)
    assert residual == pytest.approx(procrustes(target, points)[2], abs=1e-12)
    centred = target - target.mean(0)
    assert residual == pytest.approx(((aligned - target) ** 2).sum() / (centred**2).sum())


def test_a_turned_mirrored_scaled_and_moved_copy_is_found_again():
    target = np.random.default_rng(0).normal(size=(20, 2))
    turned = 3 * target @ np.array([[0.6, 0.8], [0.8, -0.6]]) + [5, -7]
    aligned, residual = align_points(turned, target)
    assert np.allclose(aligned, target)
    assert residual == pytest.approx(0, abs=1e-12)
    with pytest.raises(InputError, match="more than one place"):
        align_points(np.ones((20, 2)), target)


def test_layers_are_read_on_images_that_nothing_was_fitted_on():
    features, labels = blobs(80)
    noise = np.random.default_rng(1).normal(size=(80, 4))
    found = read_layers({"early": noise, "late": features}, labels)
    fitted, tested = halves(labels, seed=0)
    assert not set(fitted) & set(tested)
    assert found.fitted + found.n == 80
    assert found.hits["knn"][1] == found.hits["probe"][1] == found.n
    mean, spread = features[fitted].mean(0), features[fitted].std(0)
    scaled = (features - mean) / spread
    hits = 0
    for image in tested:
        order = sorted(fitted, key=lambda other: np.linalg.norm(scaled[image] - scaled[other]))
        hits += np.bincount(labels[order[: found.neighbors]]).argmax() == labels[image]
    assert hits == found.hits["knn"][1]
    assert found.accuracy("probe")[0] < 0.7
    p, n, z = found.accuracy("knn")[0], found.n, 1.959963984540054
    middle, scale = p + z * z / (2 * n), 1 + z * z / n
    half = z * np.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    assert np.allclose(found.intervals["knn"][0], [(middle - half) / scale, (middle + half) / scale])


def test_neighbours_of_few_images_a_class_are_still_of_the_class():
    features, labels = blobs(40, classes=4)
    found = read_layers({"apart": 10 * features}, labels)
    assert found.neighbors == 5
    assert found.accuracy("knn").tolist() == found.accuracy("probe").tolist() == [1.0]


def test_one_class_cannot_be_read():
    with pytest.raises(InputError, match="two classes"):
        read_layers({"a": np.ones((8, 2))}, np.zeros(8, dtype=np.int64))


def test_records_come_back_as_they_were(tmp_path):
    features, labels = blobs(12)
    made = Embedding(
        project(features, "pca").points, labels, labels[::-1], np.full(12, 0.5), ("a", "<b>", "\udcff"),
        tuple(map(str, range(12))), "pca", model="m", layer="blocks.1", token="mean", about={"seed": 0},
    )  # fmt: skip
    again = Embedding.load(made.save(tmp_path / "embedding.npz"))
    assert np.array_equal(again.points, made.points)
    assert (again.classes, again.names, again.layer, again.about) == (
        made.classes,
        made.names,
        "blocks.1",
        {"seed": 0},
    )
    assert np.array_equal(again.correct, labels == labels[::-1])
    read = read_layers({"x": features}, labels)
    back = LayerReadout.load(read.save(tmp_path / "readout.npz"))
    assert np.array_equal(back.hits["knn"], read.hits["knn"])
    assert (back.n, back.layers) == (read.n, ("x",))
    with pytest.raises(InputError):
        Embedding.load(tmp_path / "readout.npz")
    with pytest.raises(InputError, match="finite points"):
        Embedding(
            np.ones((3, 3)),
            labels[:3],
            labels[:3],
            np.ones(3),
            ("a", "b", "c"),
            ("x", "y", "z"),
            method="pca",
        )
