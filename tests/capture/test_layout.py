"""Grid, prefix and pool: told, stated by the model, or read off the image's shape."""

from __future__ import annotations

import pytest
import timm
import torch
import transformers
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from tests.oracles.smallnets import Mixer, SmallNet, fused, timm_net
from vitscope.capture.layout import Layout, find_layout
from vitscope.capture.tape import capture
from vitscope.errors import CaptureError

BARE = nn.Linear(1, 1)


@given(st.integers(1, 12), st.integers(1, 12), st.integers(1, 16), st.booleans())
def test_square_patches_over_any_image(rows, columns, patch, cls):
    tokens = rows * columns + cls
    size = (rows * patch, columns * patch)
    grid, prefix, pool = find_layout(BARE, tokens, size=size, told=Layout())
    if (grid, prefix) != ((rows, columns), int(cls)):
        # Two readings are possible only where both counts have the image's shape.
        assert grid[0] * size[1] == grid[1] * size[0]
        assert grid[0] * grid[1] + prefix == tokens
    assert pool == ("cls" if prefix else "mean")


def test_what_was_told_comes_first():
    assert find_layout(BARE, 21, size=(32, 32), told=Layout(grid=(4, 5))) == ((4, 5), 1, "cls")
    assert find_layout(BARE, 21, size=(32, 32), told=Layout(prefix=5)) == ((4, 4), 5, "cls")
    assert find_layout(BARE, 20, size=(32, 32), told=Layout(grid=(4, 4), prefix=4, pool="mean"))[2] == "mean"


@pytest.mark.parametrize(
    ("tokens", "told"),
    [
        (21, Layout(grid=(5, 5))),
        (21, Layout(grid=(4, 4), prefix=1)),
        (21, Layout()),
        (21, Layout(prefix=3)),
        (21, Layout(prefix=40)),
    ],
)
def test_what_does_not_fit_is_an_error_that_asks_for_the_grid(tokens, told):
    with pytest.raises(CaptureError) as caught:
        find_layout(BARE, tokens, size=(32, 32), told=told)
    assert "grid=(rows, columns)" in caught.value.hint


def test_a_model_within_a_model():
    class Classifier(nn.Module):
        def __init__(self):
            super().__init__()
            self.network = timm_net("registers_mean")

        def forward(self, images):
            return self.network(images)

    model = Classifier().eval()
    with torch.no_grad(), capture(model) as tape:
        model(torch.randn(1, 3, 48, 48))
    attention = tape.attention()
    assert (attention.grid, attention.prefix, attention.pool) == ((3, 3), 4, "mean")
    assert attention.layers[0] == "network.blocks.0.attn"


@pytest.mark.parametrize(("size", "grid"), [((48, 32), (3, 2)), ((32, 64), (2, 4)), ((40, 32), (3, 2))])
def test_a_model_that_takes_any_size(size, grid):
    model = timm.create_model(
        "vit_tiny_patch16_224", img_size=32, depth=1, dynamic_img_size=True, dynamic_img_pad=True
    ).eval()
    with torch.no_grad(), capture(model) as tape:
        model(torch.randn(1, 3, *size))
    assert tape.attention().grid == grid


def test_the_same_count_in_another_shape():
    """4x8 patches as well as 8x4 make 32: the images' shape decides, not the model's usual one."""
    model = timm.create_model(
        "vit_tiny_patch16_224", img_size=(64, 128), depth=1, dynamic_img_size=True
    ).eval()
    with torch.no_grad(), capture(model) as tape:
        model(torch.randn(1, 3, 128, 64))
    assert tape.attention().grid == (8, 4)


def test_a_pool_that_is_neither():
    model = timm.create_model("vit_tiny_patch16_224", img_size=32, depth=1, global_pool="max").eval()
    with torch.no_grad(), capture(model) as tape:
        model(torch.randn(1, 3, 32, 32))
    with pytest.raises(CaptureError, match="'max'"):
        tape.attention()
    with torch.no_grad(), capture(model, pool="mean") as tape:
        model(torch.randn(1, 3, 32, 32))
    assert tape.attention().pool == "mean"


class Transformers(nn.Module):
    """A model of transformers, made from a configuration, that returns logits alone."""

    def __init__(self, kind, **options):
        super().__init__()
        torch.manual_seed(0)
        shape = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 16}
        config = {**shape, "image_size": 32, "patch_size": 8, **options}
        if kind == "CLIP":
            made = transformers.CLIPConfig(vision_config=config, num_labels=3)
        else:
            made = getattr(transformers, f"{kind}Config")(**config, num_labels=3)
        self.network = getattr(transformers, f"{kind}ForImageClassification")(made)
        self.eval()

    def forward(self, images):
        return self.network(images).logits


# Grid, prefix, pool of 32x32 pixels: from each model's paper and its classifier's code.
@pytest.mark.parametrize(
    ("kind", "options", "layout"),
    [
        ("ViT", {}, ((4, 4), 1, "cls")),
        ("DeiT", {}, ((4, 4), 2, "cls")),
        ("Beit", {}, ((4, 4), 1, "mean")),
        ("Beit", {"use_mean_pooling": False}, ((4, 4), 1, "cls")),
        ("IJepa", {}, ((4, 4), 0, "mean")),
        ("CLIP", {}, ((4, 4), 1, "mean")),
    ],
)
def test_models_of_transformers(kind, options, layout):
    with torch.no_grad(), capture(model := Transformers(kind, **options)) as tape:
        model(torch.randn(1, 3, 32, 32))
    attention = tape.attention()
    assert (attention.grid, attention.prefix, attention.pool) == layout
    assert len(attention.layers) == 2


@pytest.mark.parametrize(("kind", "prefix"), [("Dinov2", 1), ("Dinov2WithRegisters", 5)])
def test_a_head_that_reads_class_token_and_mean_is_asked_for(kind, prefix):
    """DINOv2's classifier reads both, side by side: neither row of the rollout is its map."""
    model, images = Transformers(kind), torch.randn(1, 3, 16, 48)
    with torch.no_grad(), capture(model) as tape:
        model(images)
    with pytest.raises(CaptureError, match="neither a class token alone nor the mean") as caught:
        tape.attention()
    assert 'pool="cls"' in caught.value.hint
    with torch.no_grad(), capture(model, pool="cls") as tape:
        model(images)
    attention = tape.attention()
    assert (attention.grid, attention.prefix, attention.pool) == ((2, 6), prefix, "cls")


@pytest.mark.parametrize(
    ("read", "pool"),
    [
        (lambda tokens: tokens[:, 0], "cls"),
        (lambda tokens: tokens[:, 1:].mean(dim=1), "mean"),
        (lambda tokens: torch.mean(tokens[:, 1:], 1), "mean"),
        (lambda tokens: tokens.mean(dim=1), None),
        (lambda tokens: tokens[:, 0] + tokens[:, 1:].mean(dim=1), None),
        (lambda tokens: tokens[:, -1], None),
        (lambda tokens: tokens[:, 1:].mean(axis=1), "mean"),
        (lambda tokens: tokens[:, 1:].sum(dim=1) / 16, None),
        (lambda tokens: tokens[:, 1:].amax(dim=1), None),
        (lambda tokens: tokens[:, 5], None),
        (lambda tokens: tokens.unbind(1)[-1], None),
    ],
)
def test_what_the_head_reads_is_seen(read, pool):
    class Reading(SmallNet):
        def forward(self, images):
            tokens = self.cut(images).flatten(2).transpose(1, 2)
            tokens = torch.cat([self.start.expand(len(tokens), -1, -1), tokens], dim=1)
            tokens = tokens + self.mixer(tokens)
            self.aside = tokens[:, 0], tokens.mean(dim=1)  # read, and not used
            return self.head(read(tokens).relu())

    model = Reading(Mixer(fused), cls=True)
    with torch.no_grad(), capture(model) as tape:
        model(torch.randn(1, 3, 16, 16))
    if pool is None:
        with pytest.raises(CaptureError, match="the head reads neither"):
            tape.attention()
    else:
        assert tape.attention().pool == pool


def test_tokens_before_the_patches_are_counted_by_name():
    class Registers(SmallNet):
        def __init__(self):
            super().__init__(Mixer(fused))
            self.cls_token = nn.Parameter(torch.randn(1, 1, 8))
            self.register_tokens = nn.Parameter(torch.randn(1, 3, 8))

        def forward(self, images):
            tokens = self.cut(images).flatten(2).transpose(1, 2)
            before = [each.expand(len(tokens), -1, -1) for each in (self.cls_token, self.register_tokens)]
            return self.head(self.mixer(torch.cat([*before, tokens], dim=1))[:, 0])

    model = Registers()
    with torch.no_grad(), capture(model) as tape:
        model(torch.randn(1, 3, 18, 30))
    # The patches are cut by a convolution that leaves two pixels of each side over.
    assert (tape.attention().grid, tape.attention().prefix) == ((4, 7), 4)


@pytest.mark.parametrize("cls", [True, False])
def test_tokens_behind_the_patches_are_refused(cls):
    """Their number is that of tokens before them, and every patch would stand a few places off."""

    class Behind(SmallNet):
        def __init__(self):
            super().__init__(Mixer(fused), cls=cls)
            self.register_tokens = nn.Parameter(torch.randn(1, 3, 8))

        def forward(self, images):
            tokens = self.cut(images).flatten(2).transpose(1, 2)
            if cls:
                tokens = torch.cat([self.start.expand(len(tokens), -1, -1), tokens], dim=1)
            joined = torch.cat([tokens, self.register_tokens.expand(len(tokens), -1, -1)], dim=1)
            mixed = self.mixer(joined)
            return self.head(mixed[:, 0] if cls else mixed[:, :-3].mean(dim=1))

    model = Behind()
    with torch.no_grad(), capture(model) as tape:
        model(torch.randn(2, 3, 16, 16))
    with pytest.raises(CaptureError, match="3 of the tokens stand behind the patches"):
        tape.attention()


def test_one_call_may_be_told_everything():
    model = SmallNet(Mixer(fused))
    with torch.no_grad(), capture(model, grid=(2, 7), prefix=2, pool="cls") as tape:
        model(torch.randn(1, 3, 16, 16))
    attention = tape.attention()
    assert (attention.grid, attention.prefix, attention.pool) == ((2, 7), 2, "cls")
