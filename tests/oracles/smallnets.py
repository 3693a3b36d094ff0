"""Small models of many kinds with random weights, and the attention they compute, found the plain way."""

from __future__ import annotations

import math

import timm
import torch
from torch import nn
from torch.nn import functional as F

TIMM = {
    "vit": ("vit_tiny_patch16_224", {"img_size": 32, "patch_size": 4, "depth": 3}),
    "wide": ("vit_tiny_patch16_224", {"img_size": (24, 40), "patch_size": 8, "depth": 2}),
    "deit3": ("deit3_small_patch16_224", {"img_size": 32, "depth": 2}),
    "distilled": ("deit_tiny_distilled_patch16_224", {"img_size": 32, "depth": 2}),
    "registers": ("vit_small_patch14_reg4_dinov2", {"img_size": 42, "depth": 2}),
    "registers_mean": ("vit_medium_patch16_reg4_gap_256", {"img_size": 48, "depth": 2}),
    "beit": ("beit_base_patch16_224", {"img_size": 48, "depth": 2}),
    "eva02": ("eva02_tiny_patch14_224", {"img_size": 42, "depth": 2}),
    "eva02_clip": ("eva02_base_patch16_clip_224", {"img_size": 32, "depth": 1}),
    "relative": ("vit_relpos_small_patch16_224", {"img_size": 48, "depth": 2}),
    "hybrid": ("vit_tiny_r_s16_p8_224", {"img_size": 64, "depth": 2}),
    "dinov3": ("vit_small_patch16_dinov3", {"img_size": 48, "depth": 2}),
}
# grid, prefix, pool: read off each model's paper and configuration, not off vitscope.
LAYOUTS = {
    "vit": ((8, 8), 1, "cls"),
    "wide": ((3, 5), 1, "cls"),
    "deit3": ((2, 2), 1, "cls"),
    "distilled": ((2, 2), 2, "cls"),
    "registers": ((3, 3), 5, "cls"),
    "registers_mean": ((3, 3), 4, "mean"),
    "beit": ((3, 3), 1, "mean"),
    "eva02": ((3, 3), 1, "mean"),
    "eva02_clip": ((2, 2), 1, "cls"),
    "relative": ((3, 3), 0, "mean"),
    "hybrid": ((2, 2), 1, "cls"),
    "dinov3": ((3, 3), 5, "mean"),
}


def timm_net(kind, classes=5):
    torch.manual_seed(0)
    name, options = TIMM[kind]
    return timm.create_model(name, pretrained=False, num_classes=classes, **options).eval()


def image_size(kind):
    size = TIMM[kind][1]["img_size"]
    return size if isinstance(size, tuple) else (size, size)


def own_attention(model, images):
    """The weights of a timm model by its own explicit code, through hooks on its attention dropout."""
    found, handles, was = [], [], {}
    for module in model.modules():
        if hasattr(module, "fused_attn"):
            was[module] = module.fused_attn
            module.fused_attn = False
            handles.append(module.attn_drop.register_forward_pre_hook(lambda _, args: found.append(args[0])))
    try:
        with torch.no_grad():
            logits = model(images)
    finally:
        for handle in handles:
            handle.remove()
        for module, fused in was.items():
            module.fused_attn = fused
    return found, logits


class SmallNet(nn.Module):
    """Patches, one attention of a chosen kind, the mean, a head. No attribute tells its layout."""

    def __init__(self, attention, width=8, patch=4, cls=False):
        super().__init__()
        torch.manual_seed(1)
        self.cut = nn.Conv2d(3, width, patch, patch)
        self.start = nn.Parameter(torch.randn(1, 1, width)) if cls else None
        self.mixer = attention
        self.head = nn.Linear(width, 4)
        self.eval()

    def forward(self, images):
        tokens = self.cut(images).flatten(2).transpose(1, 2)
        if self.start is not None:
            tokens = torch.cat([self.start.expand(len(tokens), -1, -1), tokens], dim=1)
        tokens = tokens + self.mixer(tokens)
        return self.head(tokens[:, 0] if self.start is not None else tokens.mean(dim=1))


class Mixer(nn.Module):
    """Self-attention whose way of computing is an argument: `compute(query, key, value)`."""

    def __init__(self, compute, width=8, heads=2):
        super().__init__()
        self.qkv = nn.Linear(width, 3 * width)
        self.heads = heads
        self.compute = compute

    def forward(self, tokens):
        images, count, width = tokens.shape
        qkv = self.qkv(tokens).view(images, count, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        return self.compute(*qkv).transpose(1, 2).reshape(images, count, width)


def by_hand(query, key, value):
    scores = query @ key.transpose(-2, -1) / math.sqrt(query.shape[-1])
    return F.softmax(scores, dim=-1) @ value


def talking_heads(query, key, value):
    """CaiT's way: the heads are mixed after the softmax."""
    weights = (query @ key.transpose(-2, -1)).softmax(dim=-1)
    return (0.5 * weights + 0.5 * weights.flip(1)) @ value


def changed_in_place(query, key, value):
    weights = (query @ key.transpose(-2, -1)).softmax(dim=-1)
    weights *= 0.5
    return weights @ value


def over_channels(query, key, value):
    """XCiT's way: channels attend to channels."""
    weights = (query.transpose(-2, -1) @ key).softmax(dim=-1)
    return (weights @ value.transpose(-2, -1)).transpose(-2, -1)


def exponentials(query, key, value):
    """A softmax that calls no softmax."""
    scores = (query @ key.transpose(-2, -1)).exp()
    return scores / scores.sum(dim=-1, keepdim=True) @ value


def cumulated(query, key, value):
    """Linear attention as a running sum, which never holds a matrix of tokens by tokens."""
    return (key.sigmoid() * value).cumsum(dim=-2) * query


def fused(query, key, value):
    return F.scaled_dot_product_attention(query, key, value)
