"""Position embeddings: cosines by plain loops, in the models of four libraries, and what has none."""

from __future__ import annotations

import numpy as np
import pytest
import timm
import torch
from torch import nn
from torchvision.models.vision_transformer import VisionTransformer
from transformers import ViTConfig, ViTForImageClassification

from tests.oracles.inspecting import cosine
from tests.oracles.smallnets import timm_net
from vitscope.errors import CaptureError, InputError
from vitscope.explain.positions import position_similarity
from vitscope.models.registry import build_model
from vitscope.records.positions import PositionSimilarity

HF = {
    "hidden_size": 8,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 8,
    "patch_size": 8,
}
TORCHVISION = {"num_layers": 1, "num_heads": 2, "hidden_dim": 8, "mlp_dim": 8, "patch_size": 8}
DATA = {"classes": 3, "image_size": 16, "channels": 1}
SMALL = {"width": 12, "depth": 1, "heads": 2}


class Bare(nn.Module):
    """A model of which nothing is known but its parameter's name."""

    def __init__(self, name, value):
        super().__init__()
        self.register_buffer(name, value)


def hugging_face_net():
    return ViTForImageClassification(ViTConfig(image_size=24, **HF))


@pytest.mark.parametrize(
    ("model", "name", "grid", "prefix"),
    [
        (timm_net("wide"), "pos_embed", (3, 5), 1),
        (timm_net("distilled"), "pos_embed", (2, 2), 2),
        (timm_net("registers"), "pos_embed", (3, 3), 0),
        (timm_net("eva02_clip"), "pos_embed", (2, 2), 1),
        (VisionTransformer(image_size=24, **TORCHVISION), "encoder.pos_embedding", (3, 3), 1),
        (hugging_face_net(), "vit.embeddings.position_embeddings", (3, 3), 1),
        (build_model("vit-micro", DATA | SMALL | {"pool": "mean"}), "pos_embed", (8, 8), 0),
    ],
    ids=["wide", "distilled", "registers", "rotary too", "torchvision", "hugging face", "vitscope"],
)  # fmt: skip
def test_cosines_as_in_plain_loops(model, name, grid, prefix):
    found = position_similarity(model)
    assert (found.name, found.grid, found.prefix) == (name, grid, prefix)
    rows = dict(model.named_parameters())[name][0, prefix:].tolist()
    patches = [(row, column) for row in range(grid[0]) for column in range(grid[1])]
    for one in (0, 1, len(patches) - 1):
        for other in range(len(patches)):
            expected = cosine(rows[one], rows[other])
            assert found.values[(*patches[one], *patches[other])] == pytest.approx(expected, abs=1e-6)


def test_fixed_sines_and_cosines():
    angles = torch.arange(9.0)[:, None] / torch.tensor([1.0, 10, 100])
    found = position_similarity(Bare("pos_embed", torch.cat([angles.sin(), angles.cos()], dim=1)[None]))
    flat = found.values.reshape(9, 9)
    # Of sines and cosines the cosine depends on the distance alone.
    np.testing.assert_allclose(flat[0, 1:5], flat[3, 4:8], atol=1e-6)
    np.testing.assert_allclose(np.diagonal(flat), 1)


def test_one_embedding_a_place_of_the_grid():
    value = torch.randn(1, 2, 3, 5, generator=torch.Generator().manual_seed(0))
    found = position_similarity(Bare("pos_embed", value))
    assert found.grid == (2, 3)
    expected = cosine(value[0, 1, 2].tolist(), value[0, 0, 1].tolist())
    assert found.values[1, 2, 0, 1] == pytest.approx(expected, abs=1e-6)


def test_the_grid_can_be_told():
    model = Bare("position_embedding", torch.randn(8, 4, generator=torch.Generator().manual_seed(0)))
    with pytest.raises(CaptureError, match="8 position embeddings do not tell"):
        position_similarity(model)
    assert position_similarity(model, grid=(2, 3)).prefix == 2
    with pytest.raises(CaptureError, match="3x3 does not make 8"):
        position_similarity(model, grid=(3, 3))
    with pytest.raises(CaptureError, match="2x3 does not make 8"):
        position_similarity(model, grid=(2, 3), prefix=1)


def test_an_embedding_of_zeros_is_like_nothing():
    value = torch.ones(1, 4, 2)
    value[0, 1] = 0
    found = position_similarity(Bare("pos_embed", value)).values.reshape(4, 4)
    assert np.isnan(found[1]).all()
    assert found[0, 2] == pytest.approx(1)


@pytest.mark.parametrize(
    ("name", "options", "why"),
    [
        ("resnet18", {"channels": (8, 8, 8, 8)}, "as convolutions do"),
        ("vit_tiny_patch16_224", {"img_size": 32, "depth": 1, "pos_embed": "none"}, "is one by name"),
        ("beit_base_patch16_224", {"img_size": 48, "depth": 1}, "biases by relative places"),
        ("vit_relpos_small_patch16_224", {"img_size": 48, "depth": 1}, "biases by relative places"),
        ("vit_small_patch16_dinov3", {"img_size": 48, "depth": 1}, "rotary"),
        ("swin_tiny_patch4_window7_224", {"img_size": 32, "window_size": 2, "depths": (1, 1)}, "relative"),
    ],
)
def test_models_without(name, options, why):
    model = timm.create_model(name, pretrained=False, num_classes=2, **options)
    with pytest.raises(CaptureError, match=why):
        position_similarity(model)


def test_the_record_comes_back(tmp_path):
    made = position_similarity(timm_net("wide"))
    back = PositionSimilarity.load(made.save(tmp_path / "positions.npz"))
    np.testing.assert_array_equal(back.values, made.values)
    assert (back.name, back.prefix) == ("pos_embed", 1)
    with pytest.raises(InputError, match="row, column, row, column"):
        PositionSimilarity(np.zeros((2, 3, 3, 2)), name="")
