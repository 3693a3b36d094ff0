"""Attentions that are no chain, one on the other, are refused; the same module twice in a row is a chain."""

from __future__ import annotations

import pytest
import timm
import torch
from torch import nn
from torch.nn import functional as F

from tests.oracles.smallnets import Mixer, SmallNet, by_hand, fused
from vitscope.capture.tape import capture
from vitscope.errors import CaptureError, NotFiniteError

IMAGES = torch.randn(3, 3, 16, 16, generator=torch.Generator().manual_seed(5))


def attention_of(model, images=IMAGES):
    with torch.no_grad(), capture(model) as tape:
        model(images)
    return tape.attention()


def refusal(model, images=IMAGES):
    with pytest.raises(CaptureError) as caught:
        attention_of(model, images)
    assert "--method grad-cam" in caught.value.hint
    return str(caught.value)


class Holder(SmallNet):
    """A small net whose way from tokens to tokens is a function over its mixers."""

    def __init__(self, way, **mixers):
        super().__init__(nn.ModuleDict(mixers))
        self.way = way

    def forward(self, images):
        tokens = self.cut(images).flatten(2).transpose(1, 2)
        return self.head(self.way(self.mixer, tokens).mean(dim=1))


def test_the_same_module_again_and_again():
    def repeated(mixer, tokens):
        for _ in range(3):
            tokens = F.layer_norm(tokens + mixer["one"](tokens), (8,))
        return tokens

    model = Holder(repeated, one=Mixer(fused))
    attention = attention_of(model)
    assert attention.layers == ("mixer.one",) * 3
    # Each is the attention of what the one before put out: the first two passes by themselves agree.
    model.way = lambda mixer, tokens: F.layer_norm(tokens + mixer["one"](tokens), (8,))
    assert torch.equal(attention_of(model).weights[0], attention.weights[0])
    assert not torch.allclose(attention.weights[0], attention.weights[1])


@pytest.mark.parametrize(("one", "other"), [(fused, fused), (by_hand, by_hand), (fused, by_hand)])
def test_two_branches(one, other):
    model = Holder(
        lambda mixer, tokens: mixer["one"](tokens) + mixer["two"](tokens), one=Mixer(one), two=Mixer(other)
    )
    assert refusal(model).startswith("mixer.one, mixer.two: attentions side by side")


def test_a_branch_that_joins_later():
    def way(mixer, tokens):
        first = mixer["one"](tokens)
        aside = mixer["two"](tokens * 2)
        return mixer["three"](first + aside)

    model = Holder(way, one=Mixer(fused), two=Mixer(fused), three=Mixer(fused))
    assert "mixer.one, mixer.two: attentions side by side" in refusal(model)


def test_a_branch_that_leads_nowhere():
    def way(mixer, tokens):
        first = mixer["one"](tokens)
        mixer["two"](first)
        return first

    assert "not made from the attention of mixer.two" in refusal(
        Holder(way, one=Mixer(fused), two=Mixer(fused))
    )


def test_two_models_in_one_and_two_runs_in_one():
    class Towers(nn.Module):
        def __init__(self):
            super().__init__()
            self.left, self.right = SmallNet(Mixer(fused)), SmallNet(Mixer(by_hand))

        def forward(self, images):
            return self.left(images) + self.right(images)

    class Mirrored(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = SmallNet(Mixer(fused))

        def forward(self, images):
            return self.inner(images) + self.inner(images.flip(-1))

    assert "side by side" in refusal(Towers().eval())
    assert "inner.mixer: attentions side by side" in refusal(Mirrored().eval())


def test_tokens_without_content_are_no_connection():
    """A tensor made in another's shape, or cast to its type, holds nothing of it."""

    def way(mixer, tokens):
        first = mixer["one"](tokens)
        other = (torch.zeros_like(first) + tokens).type_as(first)
        return first + mixer["two"](other)

    assert "side by side" in refusal(Holder(way, one=Mixer(fused), two=Mixer(fused)))


def test_tokens_written_in_place_are_a_connection():
    def way(mixer, tokens):
        kept = tokens.clone()
        kept[:, 1:] += mixer["one"](tokens)[:, 1:]
        kept.add_(1.0)
        halves = torch.cat(list(kept.chunk(2, dim=1)), dim=1)
        return kept + mixer["two"](halves)

    assert attention_of(Holder(way, one=Mixer(fused), two=Mixer(by_hand))).layers == (
        "mixer.one",
        "mixer.two",
    )


def test_parallel_blocks_and_differential_attention_of_timm():
    images = torch.randn(2, 3, 32, 32)
    options = {"pretrained": False, "img_size": 32, "depth": 2}
    parallel = timm.create_model("vit_small_patch16_36x1_224", **options)
    assert len(attention_of(parallel.eval(), images).layers) == 2
    parallel = timm.create_model("vit_small_patch16_18x2_224", **options)
    assert "blocks.0.attns.0" in refusal(parallel.eval(), images)
    differential = timm.create_model("vit_dlittle_patch16_reg1_gap_256", **options)
    assert "blocks.0.attn" in refusal(differential.eval(), images)


@pytest.mark.parametrize("kernel", [1, 3])
def test_a_convolution_over_tokens_after_attention(kernel):
    class Convolved(SmallNet):
        def __init__(self):
            super().__init__(Mixer(fused))
            self.convolve = nn.Conv2d(8, 8, kernel, padding="same")

        def forward(self, images):
            places = self.convolve(self.cut(images))
            tokens = places.flatten(2).transpose(1, 2)
            tokens = tokens + self.mixer(tokens)
            places = self.convolve(tokens.transpose(1, 2).view_as(places))
            return self.head(places.flatten(2).mean(dim=2))

    if kernel == 1:
        assert attention_of(Convolved()).layers == ("mixer",)
    else:
        assert "the tokens are mixed or moved in another way as well" in refusal(Convolved())


OWN = torch.linspace(0, 1, 289).view(17, 17)
MOVES = {
    "rolled": lambda tokens: torch.roll(tokens, 1, 1),
    "turned": lambda tokens: tokens.flip(1),
    "patches turned": lambda tokens: torch.cat([tokens[:, :1], tokens[:, 1:].flip(1)], dim=1),
    "picked": lambda tokens: tokens[:, torch.arange(17).flip(0)],
    "selected": lambda tokens: tokens.index_select(1, torch.arange(17).flip(0)),
    "summed up": lambda tokens: tokens.cumsum(1),
    "pooled": lambda tokens: F.avg_pool1d(tokens.transpose(1, 2), 3, 1, 1).transpose(1, 2),
    "a layer over them": lambda tokens: F.linear(tokens.transpose(1, 2), OWN).transpose(1, 2),
    "a product": lambda tokens: OWN @ tokens,
    "einsum": lambda tokens: torch.einsum("ij,bjc->bic", OWN, tokens),
    "Fourier": lambda tokens: torch.fft.fft2(tokens).real,
}
STILL = {
    "channels rolled": lambda tokens: torch.roll(tokens, 1, 2),
    "channels turned": lambda tokens: tokens.flip(-1),
    "channels picked": lambda tokens: tokens[..., torch.arange(8).flip(0)],
    "a layer over channels": lambda tokens: F.linear(tokens, OWN[:8, :8]),
    "a product with channels": lambda tokens: tokens @ OWN[:8, :8],
    "images turned": lambda tokens: tokens.flip(0).flip(0),
}


class Moving(SmallNet):
    """Two attentions with something between them."""

    def __init__(self, between):
        super().__init__(Mixer(fused), cls=True)
        self.last = Mixer(fused)
        self.between = between

    def forward(self, images):
        tokens = self.cut(images).flatten(2).transpose(1, 2)
        tokens = torch.cat([self.start.expand(len(tokens), -1, -1), tokens], dim=1)
        tokens = self.between(tokens + self.mixer(tokens))
        return self.head((tokens + self.last(tokens))[:, 0])


@pytest.mark.parametrize("how", MOVES)
def test_tokens_that_move_between_layers(how):
    assert "mixed or moved in another way" in refusal(Moving(MOVES[how]))


@pytest.mark.parametrize("how", STILL)
def test_what_leaves_tokens_where_they_are(how):
    assert attention_of(Moving(STILL[how])).layers == ("mixer", "last")


def test_attention_by_hand_that_is_not_finite():
    model = Moving(lambda tokens: tokens)
    model.last.compute = lambda query, key, value: (
        (query @ key.mT * torch.nan).softmax(dim=-1).mean(dim=1, keepdim=True) @ value
    )
    with pytest.raises(NotFiniteError, match="last is not finite"):
        attention_of(model)
