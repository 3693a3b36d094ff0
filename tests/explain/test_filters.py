"""First-layer filters: the kernels as they are, and components against scikit-learn's."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA
from torch import nn

from tests.oracles.smallnets import timm_net
from vitscope.errors import CaptureError, InputError, UsageError
from vitscope.explain.filters import first_filters
from vitscope.records.filters import Filters


def test_kernels_of_a_convolution():
    model = nn.Sequential(nn.Conv2d(3, 5, (3, 4), stride=2), nn.Conv2d(5, 2, 3))
    found = first_filters(model)
    assert (found.kind, found.name, found.total, found.variance) == ("kernels", "0", 5, None)
    assert found.values.shape == (5, 3, 4, 3)
    assert found.values[4, 2, 1, 0] == pytest.approx(model[0].weight[4, 0, 2, 1].item())


def test_components_of_a_patch_embedding_are_scikit_learns():
    model = timm_net("vit")
    found = first_filters(model, components=7)
    kernels = model.patch_embed.proj.weight.detach().double().permute(0, 2, 3, 1).reshape(192, -1).numpy()
    oracle = PCA(7, svd_solver="full").fit(kernels)
    assert (found.kind, found.name, found.total) == ("components", "patch_embed.proj", 192)
    np.testing.assert_allclose(found.variance, oracle.explained_variance_ratio_, rtol=1e-9)
    flat = found.values.reshape(7, -1)
    np.testing.assert_allclose(np.abs(flat @ oracle.components_.T), np.eye(7), atol=1e-6)
    assert (flat.max(axis=1) == np.abs(flat).max(axis=1)).all()
    assert found.values.shape[1:] == (4, 4, 3)


def test_no_more_components_than_there_is_variance():
    """Kernels a, 2a, 3a differ in one direction alone."""
    model = nn.Conv2d(1, 3, 2, stride=2)
    with torch.no_grad():
        model.weight.copy_(
            torch.tensor([1.0, 2, 3])[:, None, None, None] * torch.tensor([[[3.0, 0], [0, -4]]])
        )
    found = first_filters(model)
    np.testing.assert_allclose(found.values[0, :, :, 0], [[-0.6, 0], [0, 0.8]], atol=1e-7)
    assert found.variance.tolist() == pytest.approx([1])


def test_either_kind_can_be_asked_for():
    model = timm_net("vit")
    assert first_filters(model, kind="kernels").values.shape == (192, 4, 4, 3)
    assert first_filters(nn.Conv2d(3, 9, 3), kind="components").kind == "components"


@pytest.mark.parametrize(
    ("model", "why"),
    [
        (nn.Linear(3, 3), "no convolution"),
        (nn.Conv2d(4, 8, 3), "sees 4 channels"),
        (nn.Conv2d(3, 6, 3, groups=3), "in 3 groups"),
    ],
)
def test_models_without(model, why):
    with pytest.raises(CaptureError, match=why):
        first_filters(model)


def test_kernels_that_are_all_the_same():
    model = nn.Conv2d(1, 3, 2, stride=2)
    nn.init.ones_(model.weight)
    with pytest.raises(CaptureError, match="all the same"):
        first_filters(model)


def test_what_makes_no_sense():
    with pytest.raises(UsageError):
        first_filters(nn.Conv2d(3, 6, 3), kind="pictures")
    with pytest.raises(UsageError):
        first_filters(nn.Conv2d(3, 6, 3), components=0)


def test_the_record_comes_back(tmp_path):
    for kind in ("kernels", "components"):
        made = first_filters(timm_net("vit"), kind=kind)
        back = Filters.load(made.save(tmp_path / "filters.npz"))
        np.testing.assert_array_equal(back.values, made.values)
        assert (back.kind, back.name, back.total) == (made.kind, made.name, made.total)
        assert (back.variance is None) == (kind == "kernels")
    with pytest.raises(InputError, match="share of variance"):
        Filters(np.zeros((2, 3, 3, 3)), kind="components", name="", total=2)
    with pytest.raises(InputError, match="1 or 3"):
        Filters(np.zeros((2, 3, 3, 4)), kind="kernels", name="", total=2)
    with pytest.raises(InputError, match="pictures"):
        Filters(np.zeros((2, 3, 3, 3)), kind="pictures", name="", total=2)
